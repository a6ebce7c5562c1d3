/** `npm run soak`: installs and builds what is missing, then calls for a while. `bench/README.md` says what for. */
import { spawnSync } from 'node:child_process';
import { ROOT, setUp } from './setup.mjs';

if (await setUp()) {
  const source = ['--import', 'tsx', '--conditions=@panal/source'];
  const command = [...source, 'bench/soak/main.ts', ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, command, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;
} else {
  process.exitCode = 1;
}
