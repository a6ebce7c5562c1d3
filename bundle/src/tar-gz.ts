import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { damaged, decoderError, type Entry, type Piece } from './entry.js';
import { inflate } from './inflate.js';
import { tooLarge, type BundleLimits } from './limits.js';

const CHUNK = 64 * 1024;
const BLOCK = 512;
/** Most bytes of a header that extends an entry (long names, attributes). */
const MAX_EXTENDED_HEADER = 64 * 1024;

const TYPES: Partial<Record<ReadEntry['type'], Entry['type']>> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'directory',
  SymbolicLink: 'symlink',
  Link: 'link',
  SparseFile: 'sparse',
};

/** A pax record by which GNU tar says that the next entry is a sparse file (GNU tar manual, "Sparse Formats"). */
const PAX_SPARSE = /^\d+ GNU\.sparse\.\w+=/m;
const PAX_SPARSE_NAME = /^\d+ GNU\.sparse\.name=(.*)$/m;

/**
 * Reads a gzipped tar. Inflating is left to Node's thread pool rather than to the parser, which does it on the event
 * loop, and would keep in memory whatever follows the end of the archive.
 */
export async function* readTarGz(path: string, limits: BundleLimits): AsyncGenerator<Piece> {
  const tar = new TarPieces();
  try {
    for await (const chunk of gunzip(path, limits)) yield* tar.write(chunk);
    yield* tar.end();
  } catch (error) {
    throw decoderError(error);
  }
}

/** Bytes of the tar itself: headers and padding are bounded too, not only the content of files, which others count. */
async function* gunzip(path: string, limits: BundleLimits): AsyncGenerator<Buffer> {
  const most = limits.maxUnpacked + limits.maxEntries * 8 * BLOCK + MAX_EXTENDED_HEADER;
  let size = 0;
  const packed = createReadStream(path, { highWaterMark: CHUNK });
  for await (const chunk of inflate(packed, () => createGunzip({ chunkSize: CHUNK }))) {
    size += chunk.byteLength;
    if (size > most) throw tooLarge(limits);
    yield chunk;
  }
}

/** Turns the events of the parser, which all come while it is written to, into the pieces they are about. */
class TarPieces {
  readonly #parser = new Parser({ strict: true, maxMetaEntrySize: MAX_EXTENDED_HEADER, zstd: false });
  #pieces: Piece[] = [];
  #failure: Error | undefined;
  #ended = false;
  #size = 0;
  /** The extended header before the next entry. */
  #extended = '';

  constructor() {
    this.#parser.on('meta', (text: string) => (this.#extended += text));
    this.#parser.on('entry', (entry: ReadEntry) => {
      this.#pieces.push(this.#toEntry(entry));
      const isFile = TYPES[entry.type] === 'file';
      entry.on('data', (bytes) => {
        if (isFile) this.#pieces.push(bytes);
      });
    });
    this.#parser.on('ignoredEntry', (entry: ReadEntry) => this.#pieces.push(this.#toEntry(entry)));
    this.#parser.on('error', (error: Error) => (this.#failure ??= error));
    this.#parser.on('eof', () => (this.#ended = true));
    // The parser unzips what begins like gzip; after an empty block it takes everything for tar.
    this.#parser.write(Buffer.alloc(BLOCK));
  }

  /** Pieces of the next bytes. What follows the end of the archive is padding. */
  *write(bytes: Buffer): Generator<Piece> {
    if (this.#ended) return;
    this.#size += bytes.byteLength;
    this.#parser.write(bytes);
    yield* this.#take();
  }

  /** Finds out whether the archive is whole. The two empty blocks at its end may be missing, as with tar(1). */
  *end(): Generator<Piece> {
    if (this.#ended) return;
    if (this.#size % BLOCK !== 0) throw damaged('The archive is truncated');
    this.#parser.end();
    yield* this.#take();
  }

  #toEntry({ path, type, mode = 0, linkpath = '' }: ReadEntry): Entry {
    const extended = this.#extended;
    this.#extended = '';
    const rest = { executable: (mode & 0o111) !== 0, target: linkpath };
    // The parser knows nothing of these records: it would give the map of the file for its content.
    if (PAX_SPARSE.test(extended)) {
      return { name: PAX_SPARSE_NAME.exec(extended)?.[1] ?? path, type: 'sparse', ...rest };
    }
    return { name: path, type: TYPES[type] ?? 'other', ...rest };
  }

  *#take(): Generator<Piece> {
    const pieces = this.#pieces;
    this.#pieces = [];
    yield* pieces;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
