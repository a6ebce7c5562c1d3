import { PanalError, type BundleFormat } from '@panal/protocol';
import { damaged, type Piece } from './entry.js';
import { tooLarge, tooManyEntries, type BundleLimits } from './limits.js';
import { readTarGz } from './tar-gz.js';
import { Tree, type Step } from './tree.js';
import { readZip } from './zip.js';

/** What came out of an archive in the end. */
export interface Totals {
  entries: number;
  unpackedSize: number;
}

const nowhere: (name: string) => boolean = () => false;

const READERS: Record<BundleFormat, (path: string, limits: BundleLimits) => AsyncGenerator<Piece>> = {
  zip: readZip,
  'tar.gz': readTarGz,
};

/**
 * Reads a bundle from front to back, every byte of it, and gives only what is safe to make: steps, and after a file
 * its content in pieces. Counted is what really comes out, whatever headers say, and a bomb is left as soon as it is
 * past a limit.
 * @param begins whether code begins in a file of this name, which then must not be in a folder
 * @param onRoot is told in the end what is at the root and is not a folder
 * @throws PanalError `NOT_AN_ARCHIVE`, `UNSAFE_ARCHIVE`, `BUNDLE_TOO_LARGE`, `INVALID_REQUEST`
 */
export async function* walk(
  path: string,
  format: BundleFormat,
  limits: BundleLimits,
  begins = nowhere,
  onRoot: (files: readonly string[]) => void = () => undefined,
): AsyncGenerator<Step | Uint8Array, Totals, undefined> {
  const tree = new Tree();
  let entries = 0;
  let unpackedSize = 0;
  for await (const piece of READERS[format](path, limits)) {
    if (piece instanceof Uint8Array) {
      unpackedSize += piece.byteLength;
      if (unpackedSize > limits.maxUnpacked) throw tooLarge(limits);
      yield piece;
    } else {
      entries += 1;
      const steps = tree.add(piece);
      if (Math.max(entries, tree.size) > limits.maxEntries) throw tooManyEntries(limits);
      yield* steps;
    }
  }
  if (tree.size === 0) throw damaged('The archive is empty');
  const below = tree.entryBelowRoot(begins);
  if (below !== undefined) throw packedWithFolder(below);
  onRoot(tree.rootFiles());
  return { entries, unpackedSize };
}

function packedWithFolder(path: string): PanalError {
  const [folder = '', file = ''] = path.split('/');
  const message = `${file} is in folder ${folder}/: pack the contents of the folder, so that it is at the root`;
  return new PanalError('INVALID_REQUEST', message);
}
