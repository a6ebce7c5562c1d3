import { Header } from 'tar';

/** A backup is a tar archive (POSIX ustar) of these members, in this order. */
export const FORMAT = 1;
export const MANIFEST = 'panal-backup.json';
/** Pages of the store, `store/000000` and so on. */
export const PAGES = 'store/';
/** Uploaded code, each file named by its SHA-256. */
export const BUNDLES = 'bundles/';
/** What tokens are signed with, unless that is a setting. */
export const SECRET = 'jwt-secret';
/** Says how much there was of everything, so that a backup which was cut off is known as such. */
export const END = 'end.json';

const BLOCK = 512;

/** What stands before the bytes of a member. */
export function memberHead(path: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  new Header({ path, size, mode: 0o600, type: 'File', mtime: new Date() }).encode(block, 0);
  return block;
}

/** What stands behind them. */
export const memberTail = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);

export const archiveTail = (): Buffer => Buffer.alloc(2 * BLOCK);

/** A member of an archive that is being read; its bytes are to be read before the next one is asked for. */
export interface Member {
  path: string;
  size: number;
  bytes(): AsyncIterable<Buffer>;
}

/** Reads an archive that comes in pieces. @throws Error where it is none, or ends too early */
export async function* membersOf(archive: AsyncIterable<Buffer>): AsyncGenerator<Member, void, undefined> {
  const source = new Source(archive);
  try {
    for (;;) {
      const header = new Header(await source.take(BLOCK));
      if (header.nullBlock) break;
      const { path, size } = header;
      if (!header.cksumValid || path === undefined || size === undefined) throw new Error('it is no backup');
      yield { path, size, bytes: () => source.pieces(size) };
      await source.take(memberTail(size).byteLength);
    }
    await source.drain();
  } finally {
    await source.close();
  }
}

/** Bytes that come in pieces, and are asked for in others. */
class Source {
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  async take(size: number): Promise<Buffer> {
    const taken: Buffer[] = [];
    for await (const piece of this.pieces(size)) taken.push(piece);
    return Buffer.concat(taken);
  }

  /** Reads what is left, so that whoever writes it is not cut off. */
  async drain(): Promise<void> {
    while ((await this.#pieces.next()).done !== true);
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /** The next `size` bytes as they come. */
  async *pieces(size: number): AsyncGenerator<Buffer, void, undefined> {
    for (let left = size; left > 0;) {
      if (this.#rest.byteLength === 0) {
        const next = await this.#pieces.next();
        if (next.done === true) throw new Error('it was cut off');
        this.#rest = next.value;
      }
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.byteLength);
      left -= piece.byteLength;
      yield piece;
    }
  }
}
