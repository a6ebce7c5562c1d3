import { makeKeys } from './keys.js';

/** `node broker/dist/keys-main.js FOLDER` makes the keys of a cluster. */
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('keys: name a folder');
  process.exitCode = 2;
} else {
  try {
    console.log((await makeKeys(folder)).join('\n'));
  } catch (error) {
    console.error(`keys: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
