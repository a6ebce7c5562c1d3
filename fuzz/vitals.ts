import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Vitals } from './target.js';

/** What can be seen of a process from outside. */
export async function vitalsOf(pid: number, metricsUrl?: string): Promise<Vitals> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const rssMiB = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  const delayMs = metricsUrl === undefined ? 0 : await loopDelay(metricsUrl);
  return { rssMiB, handles: await openSockets(pid), delayMs };
}

/** Files are left out: a store opens and closes them as it grows. */
async function openSockets(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const links = (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link.startsWith('socket:')).length;
}

/** How late the event loop of whoever serves these metrics was at most, since they were read last. */
async function loopDelay(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  const delays = [...text.matchAll(/^panal_event_loop_delay_seconds\{.*\} (\S+)$/gm)];
  return 1000 * Math.max(0, ...delays.map(([, seconds]) => Number(seconds)));
}
