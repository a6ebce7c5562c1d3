import { readFile } from 'node:fs/promises';
import { Cluster, type ClusterOptions } from '../../testkit/cluster.js';
import type { Answer } from '../../testkit/http-client.js';
import type { ManagedProcess } from '../../testkit/managed-process.js';
import { eventually } from '../../testkit/wait.js';
import { tarGz } from '../../testkit/archives.js';

/** A broker and a worker, compiled as in production. */
export async function startCluster(options: Omit<ClusterOptions, 'build'> = {}): Promise<Cluster> {
  return await Cluster.start({ ...options, build: 'compiled' });
}

/**
 * The text of a good answer.
 * @throws Error with any other
 */
export async function good(answer: Promise<Answer>): Promise<string> {
  const { status, text } = await answer;
  if (status >= 300) throw new Error(`${status} ${text}`);
  return text;
}

/** Registers a bundle of files on a bundled runtime. */
export async function registerBundle(
  cluster: Cluster,
  name: string,
  runtime: string,
  files: Record<string, string>,
  settings: Record<string, string> = {},
): Promise<void> {
  const archive = tarGz(Object.entries(files).map(([file, content]) => ({ name: file, content })));
  await good(cluster.upload(`/registerFunction/${runtime}/${name}`, archive, 'bundle.tar.gz', settings));
}

/** Waits until so many idle sandboxes stand ready in the workers. */
export async function whenIdle(cluster: Cluster, sandboxes: number): Promise<void> {
  await eventually(`${sandboxes} idle sandboxes`, async () => {
    const workers = JSON.parse(await good(cluster.request('GET', '/workers'))) as {
      holds: Record<string, number>;
    }[];
    const held = workers.flatMap(({ holds }) => Object.values(holds));
    return held.reduce((sum, each) => sum + each, 0) >= sandboxes;
  });
}

/** Resident memory of a process, in MiB. */
export async function residentMiB({ pid }: ManagedProcess): Promise<number> {
  const status = await readFile(`/proc/${pid ?? 'self'}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
