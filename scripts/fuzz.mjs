/** `npm run fuzz`: installs and builds what is missing, then throws hostile input at Panal. `docs/guarantees.md` says how. */
import { spawnSync } from 'node:child_process';
import { ROOT, setUp } from './setup.mjs';

if (await setUp()) {
  const source = ['--import', 'tsx', '--conditions=@panal/source'];
  const command = [...source, 'fuzz/main.ts', ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, command, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;
} else {
  process.exitCode = 1;
}
