import type { Readable } from 'node:stream';

/** Is handed the pieces of the two streams in the order in which they came. */
export interface Sink {
  stdout(piece: Buffer): void;
  stderr(piece: Buffer): void;
}

const HEADER = 8;
const STDERR = 2;

/**
 * Takes apart the stream of a container without a terminal: each piece has a header of eight bytes, the stream's
 * number and three zeros, then the length as a big-endian 32-bit number (Docker Engine API, "Attach to a container").
 * Pieces are handed on as they come, also in parts: nothing is copied or gathered.
 */
export class Demultiplexer {
  readonly #sink: Sink;
  /** Of a header that is not whole yet. */
  #header: Buffer = Buffer.alloc(0);
  #toStderr = false;
  /** Bytes that the piece under way still lacks. */
  #left = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  write(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) {
        rest = this.#readHeader(rest);
        continue;
      }
      const piece = rest.subarray(0, this.#left);
      this.#left -= piece.length;
      rest = rest.subarray(piece.length);
      if (this.#toStderr) this.#sink.stderr(piece);
      else this.#sink.stdout(piece);
    }
  }

  #readHeader(chunk: Buffer): Buffer {
    const header = this.#header.length === 0 ? chunk : Buffer.concat([this.#header, chunk]);
    if (header.length < HEADER) {
      this.#header = header;
      return Buffer.alloc(0);
    }
    this.#header = Buffer.alloc(0);
    this.#toStderr = header[0] === STDERR;
    this.#left = header.readUInt32BE(4);
    return header.subarray(HEADER);
  }
}

/** Reads an attached container's streams to their end, or until the connection breaks. Never rejects. */
export async function demultiplex(stream: Readable, sink: Sink): Promise<void> {
  const parts = new Demultiplexer(sink);
  await new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => parts.write(chunk));
    stream.on('error', () => resolve());
    stream.on('close', () => resolve());
    stream.on('end', () => resolve());
  });
}
