import { createReadStream } from 'node:fs';
import { readConfig, StartRefusal } from '@panal/protocol';
import { restore, RestoreFailure } from './backup/restore.js';

/** `node broker/dist/restore-main.js FILE` restores a backup into `FAAS_DATA_DIR`; without FILE it is read from stdin. */
async function main([file]: readonly string[]): Promise<number> {
  try {
    const { FAAS_DATA_DIR } = readConfig(process.env);
    const backup: AsyncIterable<Buffer> = file === undefined ? process.stdin : createReadStream(file);
    const { createdAt, entries, bundles } = await restore(backup, FAAS_DATA_DIR);
    console.log(`restored ${FAAS_DATA_DIR} as of ${createdAt}: ${entries} entries, ${bundles} bundles`);
    return 0;
  } catch (error) {
    const expected = error instanceof StartRefusal || error instanceof RestoreFailure;
    console.error(expected ? `restore: ${error.message}` : error);
    return error instanceof StartRefusal ? error.exitCode : 1;
  }
}

process.exit(await main(process.argv.slice(2)));
