import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { UidRange } from '@panal/protocol';
import { PlatformError } from '../../errors.js';

/** Which user of the machine runs the functions of each owner. A number is never given to a second owner. */
export class OwnerUids {
  readonly #path: string;
  readonly #range: UidRange;
  readonly #uids: Map<string, number>;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, range: UidRange, uids: Map<string, number>) {
    this.#path = path;
    this.#range = range;
    this.#uids = uids;
  }

  /** Reads the file at `path`, if there is one. @throws if it is damaged: its numbers own files. */
  static async open(path: string, range: UidRange): Promise<OwnerUids> {
    await mkdir(dirname(path), { recursive: true });
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '[]';
      throw error;
    });
    return new OwnerUids(path, range, uidsIn(text, path));
  }

  /** The number of `owner`; a new one is on the disk before anyone uses it. */
  async of(owner: string): Promise<number> {
    const given = this.#last.then(() => this.#uids.get(owner) ?? this.#give(owner));
    this.#last = given.catch(() => undefined);
    return await given;
  }

  async #give(owner: string): Promise<number> {
    const taken = new Set(this.#uids.values());
    let uid = this.#range.first;
    while (taken.has(uid)) uid++;
    if (uid > this.#range.last) {
      throw new PlatformError('SANDBOX_FAILED', 'every user number of FAAS_UIDS has its owner');
    }
    await writeDurably(this.#path, JSON.stringify([...this.#uids, [owner, uid]]));
    this.#uids.set(owner, uid);
    return uid;
  }
}

function uidsIn(text: string, path: string): Map<string, number> {
  const damaged = new Error(`${path} is damaged: it says which user runs the functions of each owner`);
  let pairs: unknown;
  try {
    pairs = JSON.parse(text);
  } catch {
    throw damaged;
  }
  if (!Array.isArray(pairs)) throw damaged;
  const uids = new Map<string, number>();
  for (const pair of pairs) {
    if (!Array.isArray(pair)) throw damaged;
    const entry: unknown[] = pair;
    const [owner, uid] = entry;
    if (typeof owner !== 'string' || typeof uid !== 'number' || !Number.isSafeInteger(uid) || uid < 1) {
      throw damaged;
    }
    uids.set(owner, uid);
  }
  if (new Set(uids.values()).size !== pairs.length) throw damaged;
  return uids;
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
