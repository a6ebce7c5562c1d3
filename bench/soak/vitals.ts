import { execFile } from 'node:child_process';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ManagedProcess } from '../../testkit/managed-process.js';
import { residentMiB } from '../lib/cluster.js';

/** What of a process could grow without bound. */
export interface Vitals {
  /** JavaScript's heap and buffers, once garbage is collected. */
  heap: number;
  /** All of its memory that is in RAM, in MiB. */
  resident: number;
  /** Open files and sockets. */
  descriptors: number;
}

/** Of a process that loaded `collect.mjs`. */
export async function vitalsOf(child: ManagedProcess): Promise<Vitals> {
  const { heapMiB } = (await child.ask('collect')) as { heapMiB: number };
  const descriptors = (await readdir(`/proc/${child.pid ?? 'self'}/fd`)).length;
  return { heap: heapMiB, resident: await residentMiB(child), descriptors };
}

/** Files below a folder, and their bytes. */
export async function filesIn(folder: string): Promise<{ files: number; bytes: number }> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = found.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(({ parentPath, name }) =>
      lstat(join(parentPath, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return { files: files.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Folders of sandboxes, and containers, of the worker with this data folder. */
export async function sandboxesOf(folder: string): Promise<{ folders: number; containers: number }> {
  const id = (await readFile(join(folder, 'worker-id'), 'utf8')).trim();
  const names = await readdir(join(folder, 'sandboxes'));
  // With containers there is one folder of them for each worker.
  const inContainers = names.includes(id);
  const folders = inContainers ? await readdir(join(folder, 'sandboxes', id)) : names;
  return { folders: folders.length, containers: inContainers ? await containersOf(id) : 0 };
}

async function containersOf(id: string): Promise<number> {
  const filter = `label=panal.worker=${id}`;
  const { stdout } = await promisify(execFile)('docker', ['ps', '--all', '--quiet', '--filter', filter]);
  return stdout.split('\n').filter((line) => line !== '').length;
}

/**
 * By how much the values grow over the second half of the run, as the line of least squares has it; the first half is
 * for caches to fill and code to be compiled.
 */
export function growth(values: readonly number[]): number {
  const late = values.slice(Math.floor(values.length / 2));
  const middle = (late.length - 1) / 2;
  const mean = late.reduce((sum, value) => sum + value, 0) / late.length;
  let above = 0;
  let below = 0;
  for (const [at, value] of late.entries()) {
    above += (at - middle) * (value - mean);
    below += (at - middle) ** 2;
  }
  return below === 0 ? 0 : (above / below) * (late.length - 1);
}
