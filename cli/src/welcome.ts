import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openDoors, type Config } from '@panal/protocol';
import type { Moved } from './free-addresses.js';
import type { ReadyCluster } from './local-cluster.js';

/** What `panal up` prints when the cluster serves: where, in what its functions run, and a first call to try. */
export function greeting(cluster: ReadyCluster, config: Config, moved?: Moved): string {
  const { url, runtimes } = cluster;
  const dice = fileURLToPath(new URL('../../runtimes/python/examples/dice', import.meta.url));
  const required = config.FAAS_AUTH === 'required';
  const user = required ? ' -u ana:a-long-password' : '';
  const doors = openDoors(config).map((door) => `\nOPEN TO OTHERS: ${door}\n`);
  return `
Panal is ready at ${url}
  sandbox   ${sandboxes(cluster, config)}
  runtimes  ${runtimes.join(', ')}
${moved === undefined ? '' : ports(url, moved)}${doors.join('')}
Try it in another terminal:
${required ? `\n  curl -X POST${user} ${url}/register\n` : ''}
  tar -C ${relative(process.cwd(), dice)} -czf - . |
    curl${user} -F 'module=@-;filename=dice.tar.gz' ${url}/registerFunction/pythonruntime/dice

  curl${user} -H 'Content-Type: application/json' -d '{"funcName":"dice","params":{"roll":"4d6"}}' \\
    '${url}/invokeFunction?wait=60'

Ctrl-C stops everything.
`;
}

function ports(url: string, { taken, settings }: Moved): string {
  const chosen = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const verb = taken.length === 1 ? 'is' : 'are';
  return `  ports     ${taken.join(' and ')} ${verb} taken, so free ones were chosen:
            ${chosen.join(' ')}
            the panal command finds them with: export PANAL_URL=${url}
`;
}

function sandboxes({ workers }: ReadyCluster, { FAAS_SANDBOX, FAAS_WORKERS }: Config): string {
  if (FAAS_WORKERS === 0) return 'none on this machine: FAAS_WORKERS=0, and workers connect from elsewhere';
  const kinds = new Set(
    workers.map(({ sandbox, path }) => {
      if (sandbox !== 'process') return `${sandbox} (calls go through the ${path})`;
      const why = FAAS_SANDBOX === 'auto' ? 'no container engine answers, so ' : '';
      return `process (${why}functions run as processes of this machine)`;
    }),
  );
  return [...kinds].join(', ');
}
