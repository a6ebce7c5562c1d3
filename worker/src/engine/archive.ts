import { Readable } from 'node:stream';
import { create } from 'tar';

/**
 * Entries of a folder as a tar stream for the engine, which makes root their owner; their modes are kept.
 * @param prefix folder before their names in the archive
 */
export function archive(folder: string, entries: readonly string[] = ['.'], prefix?: string): Readable {
  const options = { cwd: folder, portable: true, ...(prefix !== undefined && { prefix }) };
  return Readable.from(create(options, [...entries]), { objectMode: false });
}
