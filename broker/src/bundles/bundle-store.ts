import { createHash } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect, type BundleLimits } from '@panal/bundle';
import type { BundleRef } from '@panal/protocol';
import { KeyedLock, syncFolder } from '@panal/support';

/** The name of a bundle's file: a SHA-256 in hex. */
const DIGEST = /^[0-9a-f]{64}$/;

/** Bytes of a bundle, and how many it has in all. */
export interface BundlePart {
  bytes: Buffer;
  size: number;
}

/** Uploaded code, each file named by the SHA-256 of its bytes: the same code is kept once, however often it comes. */
export class BundleStore {
  /** Where uploads are written before they are adopted; on the same file system as the bundles. */
  readonly uploadFolder: string;
  readonly #folder: string;
  readonly #limits: BundleLimits;
  /** By digest: whatever adds or removes a file. */
  readonly #lock = new KeyedLock();

  /** @param dataDir everything is kept below it, in `bundles` and `uploads`. */
  constructor(dataDir: string, limits: BundleLimits) {
    this.#folder = join(dataDir, 'bundles');
    this.uploadFolder = join(dataDir, 'uploads');
    this.#limits = limits;
  }

  /** Makes the folders, and removes unfinished uploads of an earlier run. */
  async open(): Promise<void> {
    await rm(this.uploadFolder, { recursive: true, force: true });
    await mkdir(this.uploadFolder, { recursive: true });
    await mkdir(this.#folder, { recursive: true });
  }

  /**
   * Takes in an upload: reads it through, and keeps it, on disk when `use` is called. Until that is over, it is not
   * removed. The file at `upload` is gone afterwards, whatever comes of it.
   * @param begins whether code begins in a file of this name, which then must be at the root
   * @throws PanalError `NOT_AN_ARCHIVE`, `UNSAFE_ARCHIVE`, `BUNDLE_TOO_LARGE`, `INVALID_REQUEST`; what `use` throws
   */
  async adopt<T>(
    upload: string,
    use: (bundle: BundleRef, rootFiles: readonly string[]) => Promise<T>,
    begins?: (name: string) => boolean,
  ): Promise<T> {
    try {
      let rootFiles: readonly string[] = [];
      const { format } = await inspect(upload, this.#limits, begins, (files) => (rootFiles = files));
      const { sha256, size } = await digest(upload);
      return await this.#lock.run(sha256, async () => {
        // Over a file of the same bytes, where it is known already.
        await rename(upload, this.#path(sha256));
        await syncFolder(this.#folder);
        return await use({ sha256, size, format }, rootFiles);
      });
    } finally {
      await rm(upload, { force: true });
    }
  }

  /** Up to `length` bytes from `offset` on, fewer at the end; `undefined` where there is no such bundle. */
  async read(sha256: string, offset: number, length: number): Promise<BundlePart | undefined> {
    const file = await this.#open(sha256);
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)));
      const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, offset);
      return { bytes: bytes.subarray(0, bytesRead), size };
    } finally {
      await file.close();
    }
  }

  /** Digests of all that is kept. */
  async list(): Promise<string[]> {
    return (await readdir(this.#folder)).filter((name) => DIGEST.test(name));
  }

  /** Removes a bundle, unless it is `isUsed`: nobody adopts it while that is found out. Resolves with whether it went. */
  async remove(sha256: string, isUsed: () => Promise<boolean>): Promise<boolean> {
    return await this.#lock.run(sha256, async () => {
      if (await isUsed()) return false;
      await rm(this.#path(sha256), { force: true });
      return true;
    });
  }

  /** Puts a link to a bundle into `folder`, which keeps it whatever becomes of it here; `false` where there is none. */
  async link(sha256: string, folder: string): Promise<boolean> {
    try {
      await link(this.#path(sha256), join(folder, sha256));
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error) {
        // It stands there from an earlier try.
        if (error.code === 'EEXIST') return true;
        if (error.code === 'ENOENT') return false;
      }
      throw error;
    }
  }

  async #open(sha256: string): Promise<FileHandle | undefined> {
    try {
      return await open(this.#path(sha256));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #path(sha256: string): string {
    if (!DIGEST.test(sha256)) throw new TypeError(`not a SHA-256 digest: ${sha256}`);
    return join(this.#folder, sha256);
  }
}

/** Reads the file through for its digest, and sees to it that its bytes are on disk. */
async function digest(path: string): Promise<{ sha256: string; size: number }> {
  const file = await open(path, 'r+');
  try {
    const hash = createHash('sha256');
    let size = 0;
    const bytes: AsyncIterable<Buffer> = file.createReadStream({
      autoClose: false,
      highWaterMark: 256 * 1024,
    });
    for await (const piece of bytes) {
      hash.update(piece);
      size += piece.byteLength;
    }
    await file.sync();
    return { sha256: hash.digest('hex'), size };
  } finally {
    await file.close();
  }
}
