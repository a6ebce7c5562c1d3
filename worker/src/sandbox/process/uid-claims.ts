import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runsSince, startOf } from '@panal/support';

/** Only root can write here, and it is empty after a boot. */
const FOLDER = '/run/panal/uids';

/** Which user numbers no other worker of this machine uses. */
export interface UidClaims {
  /** Numbers that other workers hold now. */
  held(): Promise<ReadonlySet<number>>;
  /** Holds `uid` until `release` or the end of this process; `false` if another worker holds it. */
  take(uid: number): Promise<boolean>;
  release(): Promise<void>;
}

/** If a machine has no place for claims. */
export const UNCLAIMED: UidClaims = {
  held: () => Promise.resolve(new Set()),
  take: () => Promise.resolve(true),
  release: () => Promise.resolve(),
};

/**
 * Claims are empty files, named after the number and the process that made them. A worker makes its file first and looks for others
 * then: of two at the same moment both withdraw, but never do both hold a number. What a dead process left does not
 * count, and goes.
 */
export class MachineClaims implements UidClaims {
  readonly #folder: string;
  readonly #suffix: string;

  private constructor(folder: string, suffix: string) {
    this.#folder = folder;
    this.#suffix = suffix;
  }

  /** @throws if the folder cannot be made, or written */
  static async open(folder = FOLDER): Promise<MachineClaims> {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o700);
    const start = await startOf(String(process.pid));
    const claims = new MachineClaims(folder, `${process.pid}.${start}.${randomBytes(6).toString('hex')}`);
    // Number 0 is root's, and nobody's to take.
    await claims.take(0);
    await claims.release();
    return claims;
  }

  async held(): Promise<ReadonlySet<number>> {
    const living = new Map<string, boolean>();
    const held = new Set<number>();
    for (const name of await readdir(this.#folder)) {
      if (name.endsWith(`.${this.#suffix}`)) continue;
      const [uid = '', pid = '', start = ''] = name.split('.');
      const holder = `${pid}.${start}`;
      const lives = living.get(holder) ?? (await runsSince(pid, start));
      living.set(holder, lives);
      if (lives) held.add(Number(uid));
      else await rm(join(this.#folder, name), { force: true });
    }
    return held;
  }

  async take(uid: number): Promise<boolean> {
    const mine = join(this.#folder, `${uid}.${this.#suffix}`);
    await writeFile(mine, '');
    if (!(await this.held()).has(uid)) return true;
    await rm(mine);
    return false;
  }

  async release(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(`.${this.#suffix}`));
    await Promise.all(names.map((name) => rm(join(this.#folder, name), { force: true })));
  }
}
