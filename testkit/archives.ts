import { crc32, deflateRawSync, gzipSync } from 'node:zlib';

/** An entry to be written as it is, however hostile. */
export interface ArchiveEntry {
  name: string;
  content?: string | Uint8Array;
  /** Permission bits; 0o644 for a file, 0o755 for a folder. */
  mode?: number;
  type?: keyof typeof TYPES;
  /** Target of a link. */
  linkname?: string;
}

/** Type flag of tar (POSIX ustar), and file type of a Unix mode. */
const TYPES = {
  file: ['0', 0o100000],
  link: ['1', 0o100000],
  symlink: ['2', 0o120000],
  'character-device': ['3', 0o020000],
  'block-device': ['4', 0o060000],
  directory: ['5', 0o040000],
  fifo: ['6', 0o010000],
  contiguous: ['7', 0o100000],
  sparse: ['S', 0o100000],
} as const;

const BLOCK = 512;

/** A gzipped tar archive of the entries, in their order. */
export function tarGz(entries: readonly ArchiveEntry[]): Buffer {
  return gzipSync(tar(entries));
}

/** The same without gzip; with the two empty blocks at its end, unless told otherwise. */
export function tar(entries: readonly ArchiveEntry[], { end = true } = {}): Buffer {
  return Buffer.concat([...entries.flatMap(tarEntry), Buffer.alloc(end ? 2 * BLOCK : 0)]);
}

function tarEntry({ name, content = '', type = 'file', linkname = '', ...rest }: ArchiveEntry): Buffer[] {
  const body = Buffer.from(content);
  const mode = rest.mode ?? (type === 'directory' ? 0o755 : 0o644);
  const long = pax({ path: name, linkpath: linkname });
  const header = tarHeader(name, mode, body.byteLength, TYPES[type][0], linkname);
  return [...long, header, body, padding(body)];
}

/** A PAX header for what does not fit into the 100 bytes of a tar header. */
function pax(fields: Record<string, string>): Buffer[] {
  const long = Object.entries(fields).filter(([, value]) => Buffer.byteLength(value) > 100);
  if (long.length === 0) return [];
  const body = Buffer.from(long.map(([key, value]) => paxRecord(` ${key}=${value}\n`)).join(''));
  return [tarHeader('pax', 0o644, body.byteLength, 'x', ''), body, padding(body)];
}

/** A record begins with its own length, the digits of the length included. */
function paxRecord(rest: string): string {
  let length = Buffer.byteLength(rest);
  while (String(length).length + Buffer.byteLength(rest) !== length) length += 1;
  return `${length}${rest}`;
}

function tarHeader(name: string, mode: number, size: number, typeflag: string, linkname: string): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100);
  header.write(mode.toString(8).padStart(7, '0'), 100);
  header.write('0001747\0' + '0001747\0', 108);
  header.write(size.toString(8).padStart(11, '0'), 124);
  header.write('00000000000', 136);
  header.write(' '.repeat(8), 148);
  header.write(typeflag, 156);
  header.write(linkname, 157, 100);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function padding(body: Buffer): Buffer {
  return Buffer.alloc((BLOCK - (body.byteLength % BLOCK)) % BLOCK);
}

const NO_EXTRA: (name: Buffer, text: string) => Buffer = () => Buffer.alloc(0);

/** Info-ZIP's Unicode Path Extra Field (APPNOTE 4.6.9), which says what `name` is in UTF-8. */
export function unicodePath(name: Buffer, text: string): Buffer {
  const utf8 = Buffer.from(text);
  const field = Buffer.alloc(9);
  field.writeUInt16LE(0x7075, 0);
  field.writeUInt16LE(5 + utf8.byteLength, 2);
  field.writeUInt8(1, 4);
  field.writeUInt32LE(crc32(name), 5);
  return Buffer.concat([field, utf8]);
}

/**
 * A zip archive of the entries, made "on Unix", so that modes and symlinks count. `stored` leaves contents as they
 * are; `host` is the system it was made on, `flag` whether names are said to be UTF-8. A hard link cannot stand in a zip.
 */
export function zip(
  entries: readonly ArchiveEntry[],
  {
    stored = false,
    host = 3,
    flag = true,
    nameOf = (name: string) => Buffer.from(name),
    extra = NO_EXTRA,
  } = {},
): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { name: text, content = '', type = 'file', linkname, mode = 0o644 } of entries) {
    const name = nameOf(text);
    const body = Buffer.from(linkname ?? content);
    const packed = stored ? body : deflateRawSync(body);
    const common = zipCommon(name, body, packed.byteLength, stored ? 0 : 8);
    if (!flag) common.writeUInt16LE(0, 2);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, packed]);
    locals.push(local);
    const attributes = ((TYPES[type][1] | mode) << 16) >>> 0;
    central.push(zipDirectoryEntry({ host, common, name, extra: extra(name, text) }, attributes, offset));
    offset += local.byteLength;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.byteLength, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** What a local header and a central one have in common (APPNOTE 4.3.7, from "version needed" on). */
function zipCommon(name: Buffer, body: Buffer, packedSize: number, method: number): Buffer {
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt16LE(0x800, 2); // names are UTF-8
  common.writeUInt16LE(method, 4);
  common.writeUInt32LE(crc32(body), 10);
  common.writeUInt32LE(packedSize, 14);
  common.writeUInt32LE(body.byteLength, 18);
  common.writeUInt16LE(name.byteLength, 22);
  return common;
}

function zipDirectoryEntry(
  { host, common, name, extra }: { host: number; common: Buffer; name: Buffer; extra: Buffer },
  attributes: number,
  offset: number,
): Buffer {
  const head = Buffer.from(common);
  head.writeUInt16LE(extra.byteLength, 24);
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE(attributes, 6);
  tail.writeUInt32LE(offset, 10);
  return Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, host]), head, tail, name, extra]);
}
