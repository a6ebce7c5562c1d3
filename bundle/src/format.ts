import { open, type FileHandle } from 'node:fs/promises';
import type { BundleFormat } from '@panal/protocol';
import { damaged } from './entry.js';

/** First bytes of other formats, as latin1, for the sake of a clear refusal. */
const OTHERS: readonly (readonly [magic: string, name: string])[] = [
  ['BZh', 'bzip2'],
  ['\xfd7zXZ\0', 'xz'],
  ['\x28\xb5\x2f\xfd', 'zstd'],
  ['7z\xbc\xaf\x27\x1c', '7z'],
  ['Rar!', 'rar'],
];
const TAR_MAGIC = 'ustar';
const TAR_MAGIC_AT = 257;
const HEAD = TAR_MAGIC_AT + TAR_MAGIC.length;

/** Bytes at the end of a zip in which its end record must be: the record with the longest comment (APPNOTE 4.3.16). */
const ZIP_TAIL = 22 + 0xffff;

/**
 * Tells the format by the first bytes, for a file name proves nothing.
 * @throws PanalError `NOT_AN_ARCHIVE`
 */
export async function detectFormat(path: string): Promise<BundleFormat> {
  const file = await open(path);
  try {
    const head = await textAt(file, 0, HEAD);
    // A zip begins with its first entry (APPNOTE 4.3.7), an empty one with its end record (4.3.16).
    if (head.startsWith('PK\x03\x04') || head.startsWith('PK\x05\x06')) return 'zip';
    // RFC 1952, 2.3.1
    if (head.startsWith('\x1f\x8b')) return 'tar.gz';
    const other = head.startsWith(TAR_MAGIC, TAR_MAGIC_AT) ? 'tar without gzip' : otherFormat(head);
    if (other !== undefined) throw damaged(`The module is ${other}; it must be a .zip or a .tar.gz`);
    // A zip may come after something else, such as a first line for a shell.
    const { size } = await file.stat();
    const tail = await textAt(file, Math.max(0, size - ZIP_TAIL), ZIP_TAIL);
    if (tail.includes('PK\x05\x06')) return 'zip';
    throw damaged('The module is neither a zip nor a tar.gz archive');
  } finally {
    await file.close();
  }
}

const otherFormat = (head: string): string | undefined =>
  OTHERS.find(([magic]) => head.startsWith(magic))?.[1];

async function textAt(file: FileHandle, position: number, length: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.toString('latin1', 0, bytesRead);
}
