/** Puts the esbuild of this platform beside the loop, which loads TypeScript with it. Fails nothing if there is none. */
import { chmodSync, copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { platform, arch } = process;
try {
  const source = createRequire(import.meta.url).resolve(`@esbuild/${platform}-${arch}/bin/esbuild`);
  const target = fileURLToPath(new URL('esbuild', import.meta.url));
  copyFileSync(source, target);
  chmodSync(target, 0o755);
} catch (error) {
  console.error(
    `noderuntime: without esbuild, handler.ts needs a Node.js that loads TypeScript: ${error.message}`,
  );
}
