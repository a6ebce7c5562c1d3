import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** As LevelDB writes it: `000003.log: dropping 26270 bytes; Corruption: checksum mismatch`. */
const DROPPED = /[^/\\]+: dropping \d+ bytes; .*$/;

/**
 * What LevelDB could not read of its write-ahead log when it last opened the folder, and went on without: a line each.
 * It tells nobody but its own log, which holds no more than the last opening.
 */
export async function damageIn(location: string): Promise<string[]> {
  const log = await readFile(join(location, 'LOG'), 'utf8').catch(() => '');
  return log.split('\n').flatMap((line) => DROPPED.exec(line)?.[0] ?? []);
}
