import { open } from 'node:fs/promises';
import type { BundleFormat } from '@panal/protocol';
import { damaged } from './entry.js';

/**
 * Tells the format by the first bytes, for a file name proves nothing.
 * @throws PanalError `NOT_AN_ARCHIVE`
 */
export async function detectFormat(path: string): Promise<BundleFormat> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const magic = buffer.subarray(0, bytesRead).toString('latin1');
    // A zip begins with its first entry (APPNOTE 4.3.7), an empty one with its end record (4.3.16).
    if (magic === 'PK\x03\x04' || magic === 'PK\x05\x06') return 'zip';
    // RFC 1952, 2.3.1
    if (magic.startsWith('\x1f\x8b')) return 'tar.gz';
    throw damaged('The module is neither a zip nor a tar.gz archive');
  } finally {
    await file.close();
  }
}
