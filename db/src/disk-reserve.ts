import { randomFillSync } from 'node:crypto';
import { mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const MiB = 1024 * 1024;

/**
 * So many bytes, but at most this share of the disk. To open the store LevelDB writes its log, of about 4 MiB, into a
 * table; then it may merge tables into new ones before it removes the old ones.
 */
const BYTES = 64 * MiB;
const SHARE = 1 / 4;
/** With more free space than so many times the reserve, the files are not made yet. */
const PLENTY = 16;
/** Each file also holds an inode: LevelDB makes files to open, and to merge. */
const FILES = 16;
/** A batch up to this size is written in any case: it removes something, or is about a single record. */
const SMALL_BYTES = 64 * 1024;

/** Free space of a disk. */
export interface DiskSpace {
  bytes: number;
  /** Free inodes; `Infinity` if the file system makes them as needed. */
  inodes: number;
  totalBytes: number;
  totalInodes: number;
}

/** Free space of the disk that has this folder. */
export async function diskSpace(folder: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize, files, ffree } = await statfs(folder);
  const inodes = files === 0 ? Infinity : ffree;
  return { bytes: bavail * bsize, inodes, totalBytes: blocks * bsize, totalInodes: files };
}

/**
 * Files that hold disk space, and inodes, for a full disk: LevelDB cannot open its folder, remove an entry or merge its
 * files without free space. The store releases them when it needs the space, and they are made again when there is room.
 */
export class DiskReserve {
  readonly #folder: string;
  #bytes = 0;
  #missing = 0;

  /** @param folder its own, on the disk of the store */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Bytes of free space that the reserve takes when there is room again. */
  get missing(): number {
    return this.#missing;
  }

  /** Makes the files that are missing, if the disk has free space for them and as much again, but not plenty of it. */
  async fill(): Promise<void> {
    const { bytes, inodes } = await this.#measure();
    if (bytes >= PLENTY * this.#bytes && inodes >= PLENTY * FILES) return;
    const { absent } = await this.#files();
    const hasRoom = bytes >= absent.length * this.#fileBytes + this.#bytes && inodes >= absent.length + FILES;
    if (absent.length === 0 || !hasRoom) return;
    await mkdir(this.#folder, { recursive: true });
    // A file system that compresses would keep nothing free by a file of zeros.
    const content = randomFillSync(Buffer.allocUnsafe(this.#fileBytes));
    for (const path of absent) await writeFile(path, content, { mode: 0o600 });
    await this.#files();
  }

  /** Gives a part of the space back, if the disk has little left. Resolves with whether it did. */
  async release(): Promise<boolean> {
    const { bytes, inodes } = await this.#measure();
    const { whole } = await this.#files();
    if ((bytes >= this.#bytes / 2 && inodes >= FILES) || whole.length === 0) return false;
    // One at a time: a merge that fails keeps what it wrote until the store is opened anew, which needs the next one.
    for (const path of whole.slice(0, 1)) await rm(path, { force: true });
    await this.#files();
    return true;
  }

  /** Whether a batch of so many bytes may be written: what was released is for small ones, such as removals. */
  async allows(bytes: number): Promise<boolean> {
    if (this.#missing === 0 || bytes <= SMALL_BYTES) return true;
    return (await this.#measure()).bytes >= bytes + this.#bytes / 2;
  }

  get #fileBytes(): number {
    return Math.ceil(this.#bytes / FILES);
  }

  async #measure(): Promise<DiskSpace> {
    const space = await diskSpace(dirname(this.#folder));
    this.#bytes = Math.min(BYTES, Math.floor(SHARE * space.totalBytes));
    return space;
  }

  /** Looks which files there are. One that a crash cut short counts as absent. */
  async #files(): Promise<{ whole: string[]; absent: string[] }> {
    const files: Record<'whole' | 'absent', string[]> = { whole: [], absent: [] };
    for (let number = 0; number < FILES; number++) {
      const path = join(this.#folder, String(number));
      const found = await stat(path).catch(() => undefined);
      files[found?.size === this.#fileBytes ? 'whole' : 'absent'].push(path);
    }
    this.#missing = files.absent.length * this.#fileBytes;
    return files;
  }
}
