import { isUtf8 } from 'node:buffer';
import { open, type FileHandle } from 'node:fs/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import * as yauzl from 'yauzl';
import { damaged, decoderError, MAX_NAME, unsafe, type Entry, type Piece } from './entry.js';
import { inflate } from './inflate.js';
import { tooManyEntries, type BundleLimits } from './limits.js';

/** Bytes read at a time. */
const WINDOW = 64 * 1024;

/** Compression method of content that is left as it is (APPNOTE 4.4.5); the only other one read is deflate. */
const STORED = 0;

/** General purpose bit 11 (APPNOTE 4.4.4). */
const NAME_IS_UTF8 = 0x800;

/** Systems whose archivers put a Unix mode into the external attributes (APPNOTE 4.4.2.2): Unix, macOS. */
const UNIX_HOSTS = [3, 19];

const TYPES: Partial<Record<number, Entry['type']>> = {
  0: 'file',
  0o040000: 'directory',
  0o100000: 'file',
  0o120000: 'symlink',
};

/** Reads a zip by its central directory. */
export async function* readZip(path: string, limits: BundleLimits): AsyncGenerator<Piece> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = new WindowedReader(file, size);
    // Names are decoded below: yauzl would turn backslashes, and call an unsafe name damage.
    const zip = await yauzl.fromRandomAccessReaderPromise(bytes, size, { decodeStrings: false });
    if (zip.entryCount > limits.maxEntries) throw tooManyEntries(limits);
    for await (const header of zip.eachEntry()) yield* readEntry(zip, bytes, header);
  } catch (error) {
    throw decoderError(error);
  } finally {
    await file.close();
  }
}

async function* readEntry(
  zip: yauzl.ZipFile,
  bytes: WindowedReader,
  header: yauzl.Entry,
): AsyncGenerator<Piece> {
  const entry = toEntry(header);
  if (!header.canDecodeFileData()) {
    throw damaged(`The entry ${JSON.stringify(entry.name)} is encrypted, or neither stored nor deflated`);
  }
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(header, { minimal: true });
  const packed = bytes.range(fileDataStart, fileDataStart + header.compressedSize);
  const plain = header.compressionMethod === STORED ? packed : inflate(packed, createInflateRaw);
  const content = checked(plain, header, entry.name);
  if (entry.type === 'symlink') {
    yield { ...entry, target: await readTarget(content, entry.name) };
    return;
  }
  yield entry;
  for await (const piece of content) {
    if (entry.type !== 'file') throw unsafe(entry.name, 'has content and is no file');
    yield piece;
  }
}

async function* checked(
  content: AsyncIterable<Buffer>,
  header: yauzl.Entry,
  name: string,
): AsyncGenerator<Buffer> {
  let checksum = 0;
  for await (const bytes of content) {
    checksum = crc32(bytes, checksum);
    yield bytes;
  }
  if (checksum !== header.crc32) throw damaged(`The entry ${JSON.stringify(name)} fails its checksum`);
}

/** The target of a symlink is its content. */
async function readTarget(content: AsyncIterable<Buffer>, name: string): Promise<string> {
  let target = Buffer.alloc(0);
  for await (const bytes of content) {
    target = Buffer.concat([target, bytes]);
    if (target.byteLength > MAX_NAME) throw unsafe(name, `links to over ${MAX_NAME} bytes`);
  }
  if (!isUtf8(target)) throw unsafe(name, 'links to a name that is not UTF-8');
  return target.toString();
}

function toEntry(header: yauzl.Entry): Entry {
  const { versionMadeBy, externalFileAttributes } = header;
  const isUnix = UNIX_HOSTS.includes(versionMadeBy >>> 8);
  const stated = statedName(header);
  // Archivers on Windows write its separator, against APPNOTE 4.4.17.1. On Unix it is a character as any other.
  const name = isUnix ? stated : stated.replaceAll('\\', '/');
  const mode = isUnix ? externalFileAttributes >>> 16 : 0;
  const type = TYPES[mode & 0o170000] ?? 'other';
  return {
    name,
    type: type === 'file' && name.endsWith('/') ? 'directory' : type,
    executable: (mode & 0o111) !== 0,
    target: '',
  };
}

/**
 * An entry's name: by its Unicode Path Extra Field (APPNOTE 4.6.9) if it has one, and else UTF-8 wherever it can be
 * that. Info-ZIP and macOS write UTF-8 without the flag for it; a name in code page 437 is hardly ever valid UTF-8.
 */
function statedName({ generalPurposeBitFlag, fileNameRaw, extraFields }: yauzl.Entry): string {
  const couldBeUtf8 = isUtf8(fileNameRaw);
  const flags = couldBeUtf8 ? generalPurposeBitFlag | NAME_IS_UTF8 : generalPurposeBitFlag;
  const name = yauzl.getFileNameLowLevel(flags, fileNameRaw, extraFields, true);
  if (!couldBeUtf8 && name.includes('\ufffd')) throw unsafe(name, 'has a name that is not UTF-8, as it says');
  return name;
}

/**
 * Reads the archive's file for yauzl, which goes to and fro between its directory and its entries for a few bytes at
 * a time: most of them come out of the two windows read last. Its own reader moreover hands any offset that an archive
 * states to `fs.read`, which throws on one past 2^53 where nobody can catch it.
 */
class WindowedReader extends yauzl.RandomAccessReader {
  readonly #file: FileHandle;
  readonly #size: number;
  #windows: { start: number; bytes: Buffer }[] = [];

  constructor(file: FileHandle, size: number) {
    super();
    this.#file = file;
    this.#size = size;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.#bytes(position, length).then((bytes) => {
      bytes.copy(buffer, offset);
      callback(null);
    }, callback);
  }

  async *range(start: number, end: number): AsyncGenerator<Buffer> {
    for (let position = start; position < end; position += WINDOW) {
      yield await this.#bytes(position, Math.min(WINDOW, end - position));
    }
  }

  async #bytes(position: number, length: number): Promise<Buffer> {
    if (position + length > this.#size) throw new Error('it ends too early');
    const known = this.#windows.find(
      ({ start, bytes }) => start <= position && position + length <= start + bytes.byteLength,
    );
    const { start, bytes } = known ?? (await this.#window(position, Math.max(length, WINDOW)));
    return bytes.subarray(position - start, position - start + length);
  }

  async #window(start: number, length: number): Promise<{ start: number; bytes: Buffer }> {
    const size = Math.min(length, this.#size - start);
    const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(size), 0, size, start);
    if (bytesRead < size) throw new Error('it ends too early');
    const window = { start, bytes: buffer };
    this.#windows = [window, ...this.#windows.slice(0, 1)];
    return window;
  }
}
