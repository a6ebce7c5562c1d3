// Plays the checks of test/system/gateway-checks.ts against the gateways of hub-deployment in containers, with their real
// images, which it pulls: npm run gateway, or npm run gateway -- apisix. Needs an engine and docker-compose.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** @type {(command: string, ...args: string[]) => void} */
const run = (command, ...args) => {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};

const [only] = process.argv.slice(2);
const kinds = only === undefined ? ['nginx', 'apisix'] : [only];
for (const kind of kinds) {
  const file = new URL(`../hub-deployment/gateway/${kind}/docker-compose.yml`, import.meta.url);
  const [, image = ''] = /gateway:\n +image: (\S+)/.exec(readFileSync(file, 'utf8')) ?? [];
  run('docker', 'pull', image);
}
run('npx', 'mocha', 'test/system/gateway-compose.test.ts', '--grep', `gateway/(${kinds.join('|')}),`);
