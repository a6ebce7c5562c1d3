import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
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
export async function vitalsOf(child: ChildProcess): Promise<Vitals> {
  const answer = once(child, 'message') as Promise<[{ heapMiB: number }]>;
  child.send('collect');
  const [{ heapMiB }] = await answer;
  const descriptors = (await readdir(`/proc/${child.pid ?? 'self'}/fd`)).length;
  return { heap: heapMiB, resident: await residentMiB(child), descriptors };
}

/** Files below a folder. */
export async function filesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
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
