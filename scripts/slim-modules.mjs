/**
 * Takes out of a `node_modules` what no process needs when it runs: native modules for other platforms (most of all it
 * weighs), declarations, source maps. The images of Panal do so; `node scripts/slim-modules.mjs node_modules`.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const [root = ''] = process.argv.slice(2);
const { platform, arch } = process;

/** Folders with a folder for each platform, and which of these is ours. */
const NATIVE = [
  ['zeromq/build', platform],
  [`zeromq/build/${platform}`, arch],
  ['classic-level/prebuilds', `${platform}-${arch}`],
];
/** Only needed to compile native modules. */
const SOURCES = ['classic-level/deps', 'zeromq/src', 'zeromq/script'];
const UNUSED = /\.(map|d\.ts|d\.cts|d\.mts|tsbuildinfo)$/;

const remove = (path) => rmSync(path, { recursive: true, force: true });

for (const [folder, ours] of NATIVE) {
  const path = join(root, folder);
  // Not every process has every module; one that has it needs ours.
  if (!existsSync(path)) continue;
  if (!existsSync(join(path, ours))) throw new Error(`${folder} has nothing for ${ours}`);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory() && entry.name !== ours) remove(join(path, entry.name));
  }
}
for (const folder of SOURCES) remove(join(root, folder));
for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
  if (entry.isFile() && UNUSED.test(entry.name)) remove(join(entry.parentPath, entry.name));
}
