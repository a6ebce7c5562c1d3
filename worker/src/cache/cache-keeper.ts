import type { Logger } from 'pino';

/** Something on this worker's disk that can be made again. */
export interface CacheEntry {
  readonly bytes: number;
  /** When it was last used, epoch ms. */
  usedAt(): Promise<number>;
  /** Removes it, unless it is in use; says whether it is gone. */
  remove(): Promise<boolean>;
}

/** A place for such things. */
export interface Cache {
  entries(): Promise<CacheEntry[]>;
}

/** What was used within so many ms stays: whoever asked for it may be about to take it. */
const YOUNG_MS = 60_000;
/** Removal goes on to this share of the limit, so that not every sweep has to remove something. */
const LOW_WATER = 0.9;

export interface CacheKeeperOptions {
  caches: readonly Cache[];
  /** Most bytes that all of them may take together. */
  limit: number;
  /** Bytes that the disk has to spare; below 0 where it is too full, whoever filled it. */
  spare?: () => Promise<number>;
  log: Logger;
}

/**
 * Keeps what a worker has cached below a high-water mark: past it, what was used longest ago goes, and nothing that is
 * in use. It may still be more, where nothing can be removed.
 */
export class CacheKeeper {
  readonly #options: CacheKeeperOptions;

  constructor(options: CacheKeeperOptions) {
    this.#options = options;
  }

  async sweep(): Promise<void> {
    const { caches, log, spare = async () => Infinity } = this.#options;
    const entries = (await Promise.all(caches.map((cache) => cache.entries()))).flat();
    let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const limit = Math.min(this.#options.limit, bytes + (await spare()));
    if (bytes <= limit) return;
    let removed = 0;
    for (const entry of await longestUnused(entries)) {
      if (bytes <= LOW_WATER * limit) break;
      if (!(await this.#remove(entry))) continue;
      bytes -= entry.bytes;
      removed++;
    }
    log.debug({ removed, bytes }, 'removed from the cache what was used longest ago');
  }

  /** One that cannot be removed keeps no other. */
  async #remove(entry: CacheEntry): Promise<boolean> {
    try {
      return await entry.remove();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'not removed from the cache');
      return false;
    }
  }
}

/** Those that are not young, that which was used longest ago first. */
async function longestUnused(entries: readonly CacheEntry[]): Promise<CacheEntry[]> {
  const before = Date.now() - YOUNG_MS;
  const used = await Promise.all(entries.map(async (entry) => ({ entry, at: await entry.usedAt() })));
  return used
    .filter(({ at }) => at <= before)
    .sort((a, b) => a.at - b.at)
    .map(({ entry }) => entry);
}
