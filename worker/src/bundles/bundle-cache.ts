import { createHash, type Hash } from 'node:crypto';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleRef } from '@panal/protocol';
import { SingleFlight } from '@panal/support';
import type { Cache, CacheEntry } from '../cache/cache-keeper.js';
import { FolderCache, touch } from '../cache/folder-cache.js';
import { PlatformError } from '../errors.js';

/** Where bundles come from. */
export interface BundleFetcher {
  /**
   * The bytes of a bundle from `from` on, in order.
   * @throws PlatformError `BUNDLE_UNAVAILABLE`
   * @throws the signal's reason
   */
  fetch(ref: BundleRef, from: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/**
 * Bundles on this machine, packed as they were uploaded, each file named by its SHA-256. A bundle is fetched once,
 * however many ask for it; what came of a broken transfer is kept, also over a restart, and the next one goes on there.
 */
export class BundleCache implements Cache {
  readonly #folder: string;
  readonly #fetcher: BundleFetcher;
  readonly #transfers = new SingleFlight<string>();
  readonly #files: FolderCache;

  /** @param dir everything is kept below it, in `bundles`. */
  constructor({ dir, fetcher }: { dir: string; fetcher: BundleFetcher }) {
    this.#folder = join(dir, 'bundles');
    this.#fetcher = fetcher;
    this.#files = new FolderCache(this.#folder);
  }

  /**
   * Path of the bundle's file, whole and verified; not to be changed. A transfer stops when all who wait for it have
   * aborted.
   * @throws PlatformError `BUNDLE_UNAVAILABLE` where it cannot be fetched or kept, or is not what its digest says.
   * @throws the signal's reason
   */
  async get(ref: BundleRef, signal: AbortSignal): Promise<string> {
    return await this.#transfers.run(ref.sha256, signal, (shared) => this.#bring(ref, shared));
  }

  async entries(): Promise<CacheEntry[]> {
    return await this.#files.entries();
  }

  async #bring(ref: BundleRef, signal: AbortSignal): Promise<string> {
    const path = join(this.#folder, ref.sha256);
    try {
      if ((await touch(path)) && (await isThere(path, ref.size))) return path;
      await mkdir(this.#folder, { recursive: true });
      await this.#complete(`${path}.part`, ref, signal);
      await rename(`${path}.part`, path);
      return path;
    } catch (error) {
      if (error instanceof PlatformError || signal.aborted) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new PlatformError('BUNDLE_UNAVAILABLE', `Cannot keep the bundle ${ref.sha256}: ${why}`, {
        cause: error,
      });
    }
  }

  /** Makes `part` the whole bundle, from what there is of it. */
  async #complete(part: string, ref: BundleRef, signal: AbortSignal): Promise<void> {
    const file = await open(part, 'a+');
    try {
      const hash = createHash('sha256');
      const have = await digestSoFar(file, hash);
      for await (const bytes of this.#fetcher.fetch(ref, have, signal)) {
        hash.update(bytes);
        await file.appendFile(bytes);
      }
      if (hash.digest('hex') === ref.sha256) {
        await file.sync();
        return;
      }
    } finally {
      await file.close();
    }
    await rm(part);
    throw new PlatformError('BUNDLE_UNAVAILABLE', `The bundle ${ref.sha256} came damaged`);
  }
}

async function isThere(path: string, size: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.size === size;
}

/** Reads the file from its beginning into the hash, and gives its size. */
async function digestSoFar(file: FileHandle, hash: Hash): Promise<number> {
  const buffer = Buffer.allocUnsafe(256 * 1024);
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, position);
    if (bytesRead === 0) return position;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}
