import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { UidRange } from '@panal/protocol';
import { PlatformError } from '../../errors.js';
import type { UidClaims } from './uid-claims.js';

/** An owner, and a number that it was given. */
type Given = readonly [owner: string, uid: number];

/**
 * Which user of the machine runs the functions of each owner. A number is never given to a second owner. An owner gets
 * another one if its own is outside of `FAAS_UIDS` now, or another worker of the machine holds it.
 */
export class OwnerUids {
  readonly #path: string;
  readonly #range: UidRange;
  readonly #claims: UidClaims;
  /** All that were ever given, the latest last. */
  #given: readonly Given[];
  /** Those that this process uses. */
  readonly #used = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, range: UidRange, claims: UidClaims, given: readonly Given[]) {
    this.#path = path;
    this.#range = range;
    this.#claims = claims;
    this.#given = given;
  }

  /** Reads the file at `path`, if there is one. @throws if it is damaged: its numbers own files. */
  static async open(path: string, range: UidRange, claims: UidClaims): Promise<OwnerUids> {
    await mkdir(dirname(path), { recursive: true });
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '[]';
      throw error;
    });
    return new OwnerUids(path, range, claims, givenIn(text, path));
  }

  /** The number of `owner`; a new one is on the disk before anyone uses it. */
  async of(owner: string): Promise<number> {
    const uid = this.#last.then(() => this.#used.get(owner) ?? this.#choose(owner));
    this.#last = uid.catch(() => undefined);
    return await uid;
  }

  async #choose(owner: string): Promise<number> {
    const uid = (await this.#earlier(owner)) ?? (await this.#give(owner));
    this.#used.set(owner, uid);
    return uid;
  }

  async #earlier(owner: string): Promise<number | undefined> {
    const { first, last } = this.#range;
    const own = this.#given.filter(([whose, uid]) => whose === owner && uid >= first && uid <= last);
    for (const [, uid] of own.reverse()) if (await this.#claims.take(uid)) return uid;
    return undefined;
  }

  async #give(owner: string): Promise<number> {
    const taken = new Set([...this.#given.map(([, uid]) => uid), ...(await this.#claims.held())]);
    for (let uid = this.#range.first; uid <= this.#range.last; uid++) {
      if (taken.has(uid) || !(await this.#claims.take(uid))) continue;
      const given: readonly Given[] = [...this.#given, [owner, uid]];
      await writeDurably(this.#path, JSON.stringify(given));
      this.#given = given;
      return uid;
    }
    throw new PlatformError('SANDBOX_FAILED', 'every user number of FAAS_UIDS has its owner');
  }
}

function givenIn(text: string, path: string): Given[] {
  const damaged = new Error(`${path} is damaged: it says which user runs the functions of each owner`);
  let pairs: unknown;
  try {
    pairs = JSON.parse(text);
  } catch {
    throw damaged;
  }
  if (!Array.isArray(pairs)) throw damaged;
  const given: Given[] = [];
  for (const pair of pairs) {
    if (!Array.isArray(pair)) throw damaged;
    const entry: unknown[] = pair;
    const [owner, uid] = entry;
    if (typeof owner !== 'string' || typeof uid !== 'number' || !Number.isSafeInteger(uid) || uid < 1) {
      throw damaged;
    }
    given.push([owner, uid]);
  }
  if (new Set(given.map(([, uid]) => uid)).size !== pairs.length) throw damaged;
  return given;
}

/** After a crash there is the old content or the new one. */
async function writeDurably(path: string, content: string): Promise<void> {
  const written = join(dirname(path), 'uids.new');
  const file = await open(written, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(written, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
