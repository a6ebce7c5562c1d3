import type { Cluster } from '../cluster.js';
import { allProcesses, kill } from '../../testkit/processes.js';
import type { Fault } from './fault.js';

/** The end of a container, or of a function's process, that its worker has not asked for. */
export const SANDBOX_FAULTS: readonly Fault[] = [
  {
    kind: 'container killed',
    endsBodies: true,
    possible: ({ options }) => options.driver === 'docker',
    async make(cluster, random) {
      const found = await Promise.all(cluster.workers.map((worker) => cluster.sandboxesOf(worker)));
      const containers = found.flat();
      if (containers.length === 0) return 'there was none';
      const victim = random.pick(containers);
      // It may have ended by itself just now.
      await cluster.docker('kill', '--signal=KILL', victim).catch(() => undefined);
      return `one of ${containers.length}`;
    },
  },
  {
    kind: 'function process killed',
    endsBodies: true,
    possible: ({ options }) => options.driver === 'process',
    async make(cluster, random) {
      const processes = await descendants(cluster);
      if (processes.length === 0) return 'there was none';
      return kill(random.pick(processes)) ? `one of ${processes.length}` : 'it had ended already';
    },
  },
];

/** Every process below the workers. */
async function descendants({ workers }: Cluster): Promise<number[]> {
  const processes = await allProcesses();
  const found = new Set(workers.flatMap(({ process: worker }) => worker.pid ?? []));
  const roots = new Set(found);
  for (const pid of found) for (const [child, { parent }] of processes) if (parent === pid) found.add(child);
  return [...found].filter((pid) => !roots.has(pid));
}
