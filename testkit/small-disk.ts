import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { LoopDisk } from './loop-disk.js';
import { run, works } from './shell.js';

const MiB = 1024 * 1024;
/** A write of this size shows whether anything is left. */
const CRUMB = 4096;

export interface SmallDiskOptions {
  losesPower?: boolean;
  /** How many files it can have; by default enough. Not of one that loses power. */
  inodes?: number | undefined;
}

/** A folder on a file system of its own, small enough to be filled. */
export class SmallDisk {
  readonly path: string;
  /** Whether its power can be cut. */
  readonly losesPower: boolean;
  readonly #sizeMb: number;
  readonly #inodes: number | undefined;
  #loop: LoopDisk | undefined;

  constructor(path: string, sizeMb: number, { losesPower = false, inodes }: SmallDiskOptions = {}) {
    this.path = path;
    this.#sizeMb = sizeMb;
    this.#inodes = inodes;
    this.losesPower = losesPower;
  }

  async open(): Promise<void> {
    if (this.losesPower) {
      this.#loop = await LoopDisk.open(this.path, this.#sizeMb);
      return;
    }
    await mkdir(this.path, { recursive: true });
    const inodes = this.#inodes === undefined ? '' : `,nr_inodes=${this.#inodes}`;
    await run('mount', '-t', 'tmpfs', '-o', `size=${this.#sizeMb}m,mode=0755${inodes}`, 'chaos', this.path);
  }

  /** Leaves no byte free, or so many. */
  async fill(leave = 0): Promise<void> {
    const ballast = await open(join(this.path, 'ballast'), 'a');
    try {
      const crumb = Buffer.alloc(CRUMB);
      for (;;) {
        const { bavail, bsize } = await statfs(this.path);
        const left = bavail * bsize;
        if (leave > 0 && left <= leave) return;
        await ballast.appendFile(left > MiB ? Buffer.alloc(MiB) : crumb);
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      await ballast.close();
    }
  }

  async free(): Promise<void> {
    await rm(join(this.path, 'ballast'), { force: true });
  }

  /** Takes from it what was not synced. Nobody may use it meanwhile. */
  async cutPower(): Promise<void> {
    await this.#loop?.cutPower();
  }

  async close(): Promise<void> {
    if (this.#loop === undefined) await works('umount', '--lazy', this.path);
    else await this.#loop.close();
  }
}
