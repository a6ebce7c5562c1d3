import { makeKeys, makeRegistryLogin } from './keys.js';

/** `node broker/dist/keys-main.js FOLDER [REGISTRY…]` makes the keys of a cluster, and a login for its registry. */
const [folder, ...registries] = process.argv.slice(2);
if (folder === undefined) {
  console.error('keys: name a folder');
  process.exitCode = 2;
} else {
  try {
    const files = await makeKeys(folder);
    if (registries.length > 0) files.push(...(await makeRegistryLogin(folder, registries)));
    console.log(files.join('\n'));
  } catch (error) {
    console.error(`keys: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
