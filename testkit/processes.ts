import { readdir, readFile } from 'node:fs/promises';

/** Every process by its number: its parent's, and its command line. */
export async function allProcesses(): Promise<Map<number, { parent: number; command: string }>> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = new Map<number, { parent: number; command: string }>();
  for (const pid of pids) {
    // It may end meanwhile.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    // The second field, the command, may hold spaces and parentheses.
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) found.set(Number(pid), { parent: Number(parent), command });
  }
  return found;
}

/** Kills a process; says whether it was there still. */
export function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}
