import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import Docker from 'dockerode';
import type { Cluster } from '../../testkit/cluster.js';
import { allProcesses } from '../../testkit/processes.js';

/** Milliseconds of a tick, in which the kernel counts processor time. */
const TICK_MS = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Processes whose time is counted together, by what they are. */
export type ProcessGroups = Readonly<Record<string, readonly number[]>>;

/**
 * Processor time (user and system) that groups of processes take while `work` runs, in ms. Processes that begin or end
 * meanwhile are not seen: start what is to be counted before.
 */
export async function processorTime(
  groups: ProcessGroups,
  work: () => Promise<void>,
): Promise<Record<string, number>> {
  const before = await timesOf(groups);
  await work();
  const after = await timesOf(groups);
  return Object.fromEntries(
    Object.keys(groups).map((name) => [name, (after[name] ?? NaN) - (before[name] ?? NaN)]),
  );
}

/** Broker, workers, and the processes of functions: those below a worker, and those in its containers. */
export async function processesOf(cluster: Cluster): Promise<ProcessGroups> {
  const workers = cluster.workers.flatMap(({ pid }) => pid ?? []);
  const ids = await Promise.all(workers.map((_, index) => workerId(`${cluster.folder}/worker-${index}`)));
  const containers = (await Promise.all(ids.map(containerPids))).flat();
  const below = await descendants([...workers, ...containers]);
  return { broker: [cluster.broker.pid ?? 0], worker: workers, functions: [...containers, ...below] };
}

/** A process, and all below it. */
export async function family(pid: number): Promise<number[]> {
  return [pid, ...(await descendants([pid]))];
}

async function timesOf(groups: ProcessGroups): Promise<Record<string, number>> {
  const times = Object.entries(groups).map(async ([name, pids]) => {
    const each = await Promise.all(pids.map(timeOf));
    return [name, each.reduce((sum, time) => sum + time, 0)] as const;
  });
  return Object.fromEntries(await Promise.all(times));
}

async function timeOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field, the command, may hold spaces and parentheses; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function descendants(roots: readonly number[]): Promise<number[]> {
  const all = await allProcesses();
  const found: number[] = [];
  let level = new Set(roots);
  while (level.size > 0) {
    const parents = level;
    level = new Set([...all].filter(([, { parent }]) => parents.has(parent)).map(([pid]) => pid));
    found.push(...level);
  }
  return found;
}

const workerId = async (folder: string): Promise<string> =>
  (await readFile(`${folder}/worker-id`, 'utf8')).trim();

/** First processes of a worker's containers; none if there is no engine. */
async function containerPids(worker: string): Promise<number[]> {
  const docker = new Docker();
  const filters = { label: [`panal.worker=${worker}`] };
  const containers = await docker.listContainers({ filters }).catch(() => []);
  const details = await Promise.all(containers.map(({ Id }) => docker.getContainer(Id).inspect()));
  return details.map(({ State }) => State.Pid);
}
