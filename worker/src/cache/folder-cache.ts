import { randomBytes } from 'node:crypto';
import { lstat, readdir, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { diskUse, removeTree } from '@panal/support';
import { Unprepared } from '../errors.js';
import type { Cache, CacheEntry } from './cache-keeper.js';

/** What is being made, or removed, has a name that begins so. */
const UNFINISHED = 'making-';

/**
 * Files and folders in `root`, none of which changes once it has its name. When one was last used is its time of
 * change, so that it is known after a restart too.
 */
export class FolderCache implements Cache {
  readonly #root: string;
  readonly #inUse: (path: string) => boolean;
  /** Bytes of disk that each folder takes, by its name. */
  readonly #sizes = new Map<string, number>();

  /** @param inUse whether an entry, by its path, must stay */
  constructor(root: string, inUse: (path: string) => boolean = () => false) {
    this.#root = root;
    this.#inUse = inUse;
  }

  async entries(): Promise<CacheEntry[]> {
    const names: string[] = await readdir(this.#root).catch(() => []);
    for (const name of this.#sizes.keys()) if (!names.includes(name)) this.#sizes.delete(name);
    const entries: CacheEntry[] = [];
    for (const name of names) {
      if (name.startsWith(UNFINISHED)) continue;
      const path = join(this.#root, name);
      // It may be renamed meanwhile.
      const found = await lstat(path).catch(() => undefined);
      if (found === undefined) continue;
      const bytes = found.isDirectory() ? await this.#bytesOf(name) : found.size;
      const usedAt = found.mtimeMs;
      entries.push({ bytes, usedAt: async () => usedAt, remove: () => this.#remove(path, usedAt) });
    }
    return entries;
  }

  async #bytesOf(name: string): Promise<number> {
    const known = this.#sizes.get(name);
    if (known !== undefined) return known;
    const path = join(this.#root, name);
    const bytes = (await diskUse([path])).get(path);
    // It went meanwhile, or has not been measured to its end.
    if (bytes === undefined) return 0;
    this.#sizes.set(name, bytes);
    return bytes;
  }

  async #remove(path: string, usedAt: number): Promise<boolean> {
    if (this.#inUse(path) || (await lstat(path)).mtimeMs !== usedAt) return false;
    // In one step, so that nobody finds half of it; and one that a full disk has room for.
    const grave = join(this.#root, UNFINISHED + randomBytes(6).toString('hex'));
    await rename(path, grave);
    await removeTree(grave);
    return true;
  }
}

/** Notes that an entry is used now; `false` where it is not there. */
export async function touch(path: string): Promise<boolean> {
  const now = new Date();
  return await utimes(path, now, now).then(
    () => true,
    () => false,
  );
}

/**
 * Copies from an entry, which counts as used now.
 * @throws Unprepared where it is gone, or went meanwhile
 */
export async function copyFrom<T>(path: string, copy: () => Promise<T>): Promise<T> {
  const there = await touch(path);
  try {
    if (there) return await copy();
  } catch (error) {
    if (await touch(path)) throw error;
  }
  throw new Unprepared(`${path} has been removed from the cache`);
}

/** Removes what an earlier run left unfinished. */
export async function removeUnfinished(root: string): Promise<void> {
  const names = await readdir(root).catch(() => []);
  const unfinished = names.filter((name) => name.startsWith(UNFINISHED));
  await removeTree(...unfinished.map((name) => join(root, name)));
}
