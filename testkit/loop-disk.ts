import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * A folder that is an ext4 file system of its own, in a file. What is in that file at any moment is what its disk would
 * have after a power cut: what was synced, and whatever else the kernel had written by then.
 */
export class LoopDisk {
  readonly path: string;
  readonly #image: string;

  private constructor(path: string) {
    this.path = path;
    this.#image = `${path}.img`;
  }

  /** Makes a disk and mounts it at `path`. Needs root and loop devices. */
  static async open(path: string, sizeMb: number): Promise<LoopDisk> {
    const disk = new LoopDisk(path);
    const image = await open(disk.#image, 'w');
    await image.truncate(sizeMb * 1024 ** 2).finally(() => image.close());
    await run('mkfs.ext4', ['-q', '-m', '0', disk.#image]);
    await disk.#mount();
    return disk;
  }

  /** Mounts at `path` what a power cut would leave of this disk now. */
  async afterPowerCut(path: string): Promise<LoopDisk> {
    const left = new LoopDisk(path);
    await run('cp', ['--sparse=always', this.#image, left.#image]);
    await left.#mount();
    return left;
  }

  /** Cuts the power of this disk. Nobody may use it meanwhile. */
  async cutPower(): Promise<void> {
    const left = `${this.#image}.left`;
    await run('cp', ['--sparse=always', this.#image, left]);
    await run('umount', [this.path]);
    await run('mv', [left, this.#image]);
    await this.#mount();
  }

  async close(): Promise<void> {
    await run('umount', ['--lazy', this.path]);
    await rm(this.#image, { force: true });
  }

  async #mount(): Promise<void> {
    await mkdir(this.path, { recursive: true });
    await run('mount', ['-o', 'loop', this.#image, this.path]);
  }
}
