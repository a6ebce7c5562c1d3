/** `npm start`: installs and builds what is missing, then does what `panal up` does. */
import { setUp } from './setup.mjs';

if (await setUp()) {
  const { main } = await import('../cli/dist/main.js');
  process.exitCode = await main(['up', ...process.argv.slice(2)]);
} else {
  process.exitCode = 1;
}
