import { relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openDoors, type Config } from '@panal/protocol';
import { fieldsOf } from './fields.js';

/** What a cluster says of itself once it serves. Lists are empty where the cluster wants credentials first. */
export interface Cluster {
  workers: readonly { sandbox: string; path: string }[];
  runtimes: readonly string[];
}

const POLL_MS = 50;

/**
 * Waits until a worker is connected to the broker at `url`, and asks what is there.
 * @throws the reason of `signal` when that is aborted first
 */
export async function whenReady(url: string, signal: AbortSignal): Promise<Cluster> {
  for (;;) {
    // A broker that is just being started again refuses connections.
    const response = await fetch(new URL('/readyz', url), { signal }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) break;
    await pause(POLL_MS, undefined, { signal });
  }
  const [workers, runtimes] = await Promise.all([
    listOf(new URL('/workers', url), signal),
    listOf(new URL('/runtimes', url), signal),
  ]);
  return {
    workers: workers.map((worker) => {
      const { sandbox, path } = fieldsOf(worker);
      return { sandbox: String(sandbox), path: String(path) };
    }),
    runtimes: runtimes.map(String),
  };
}

async function listOf(url: URL, signal: AbortSignal): Promise<readonly unknown[]> {
  const response = await fetch(url, { signal });
  const body: unknown = await response.json();
  const list: readonly unknown[] = Array.isArray(body) ? body : [];
  return response.ok ? list : [];
}

/** What `panal up` prints when the cluster serves: where, in what its functions run, and a first call to try. */
export function greeting(url: string, cluster: Cluster, config: Config): string {
  const dice = fileURLToPath(new URL('../../runtimes/python/examples/dice', import.meta.url));
  return `
Panal is ready at ${url}
  sandbox   ${sandboxes(cluster, config.FAAS_SANDBOX)}
  runtimes  ${cluster.runtimes.join(', ')}
${openDoors(config)
  .map((door) => `\nOPEN TO OTHERS: ${door}\n`)
  .join('')}
Try it in another terminal:

  tar -C ${relative(process.cwd(), dice)} -czf - . |
    curl -F 'module=@-;filename=dice.tar.gz' ${url}/registerFunction/pythonruntime/dice

  curl -H 'Content-Type: application/json' -d '{"funcName":"dice","params":{"roll":"4d6"}}' \\
    '${url}/invokeFunction?wait=60'

Ctrl-C stops everything.
`;
}

function sandboxes({ workers }: Cluster, wanted: string): string {
  const kinds = new Set(
    workers.map(({ sandbox, path }) => {
      if (sandbox !== 'process') return `${sandbox} (calls go through the ${path})`;
      const why = wanted === 'auto' ? 'no container engine answers, so ' : '';
      return `process (${why}functions run as processes of this machine)`;
    }),
  );
  return [...kinds].join(', ') || 'unknown';
}
