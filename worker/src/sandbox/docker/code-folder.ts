import { constants } from 'node:fs';
import { cp } from 'node:fs/promises';

/**
 * Copies a function's code into the folder of one sandbox, without copying blocks where the file system can; what one
 * sandbox writes no other sees. Links stay what they are.
 */
export async function fillCodeFolder(code: string, folder: string): Promise<void> {
  await cp(code, folder, {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
    mode: constants.COPYFILE_FICLONE,
  });
}
