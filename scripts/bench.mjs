/** `npm run bench`: installs and builds what is missing, then measures. `bench/README.md` says what. */
import { spawnSync } from 'node:child_process';
import { ROOT, setUp } from './setup.mjs';

if (await setUp()) {
  const source = ['--import', 'tsx', '--conditions=@panal/source'];
  const command = [...source, 'bench/run.ts', ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, command, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;
} else {
  process.exitCode = 1;
}
