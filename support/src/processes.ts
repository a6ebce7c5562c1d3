import { readFile } from 'node:fs/promises';

/**
 * When the process `pid` started, in clock ticks since boot (proc(5), field 22 of stat); empty if there is none, or no
 * /proc. A number is given to another process in time (at once, in a container): together the two name a process.
 */
export async function startOf(pid: string): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the command, may hold spaces and parentheses.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** Whether the process `pid` that started at `start` still runs. */
export async function runsSince(pid: string, start: string): Promise<boolean> {
  return isAlive(pid) && (await startOf(pid)) === start;
}

function isAlive(pid: string): boolean {
  if (!/^[1-9]\d*$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
