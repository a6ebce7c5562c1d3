import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { run, works } from './shell.js';

const MiB = 1024 * 1024;
/** A write of this size shows whether anything is left. */
const CRUMB = 4096;

/** A folder on a file system of its own, small enough to be filled. */
export class SmallDisk {
  readonly path: string;
  readonly #sizeMb: number;

  constructor(path: string, sizeMb: number) {
    this.path = path;
    this.#sizeMb = sizeMb;
  }

  async open(): Promise<void> {
    await mkdir(this.path, { recursive: true });
    await run('mount', '-t', 'tmpfs', '-o', `size=${this.#sizeMb}m,mode=0755`, 'chaos', this.path);
  }

  /** Leaves no byte free. */
  async fill(): Promise<void> {
    const ballast = await open(join(this.path, 'ballast'), 'a');
    try {
      const crumb = Buffer.alloc(CRUMB);
      for (;;) {
        const { bavail, bsize } = await statfs(this.path);
        const left = bavail * bsize;
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

  async close(): Promise<void> {
    await works('umount', '--lazy', this.path);
  }
}
