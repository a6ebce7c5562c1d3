/**
 * The frames of the runtime protocol, version 1 (docs/runtime-protocol.md):
 * length of what follows (u32, big-endian), type (u8), payload.
 */
export const CALL = 0x01;
export const INPUT = 0x02;
export const END_INPUT = 0x03;
export const SHUTDOWN = 0x05; // CANCEL, 0x04, is not acted on
export const READY = 0x11;
export const OUT = 0x12;
export const ERR = 0x13;
const DONE = 0x14;
const EXITED = 0; // the one reason for DONE that a handler loop has

const LENGTH_SIZE = 4;
const HEAD_SIZE = 5; // length of what follows the length, type
const MAX_FRAME = 16 << 20;
const MAX_PIECE = 1 << 20; // longer results and logs are split
const NOTHING = Buffer.alloc(0);

/** Finds the frames in a stream of chunks. A payload is valid only until `onFrame` returns. */
export class FrameReader {
  #onFrame;
  #head = NOTHING; // the first bytes of a frame whose length is not known yet
  #frame = null; // a frame that comes in several chunks, with the bytes filled in so far
  #filled = 0;

  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  push(chunk) {
    let at = 0;
    if (this.#head.length > 0) {
      chunk = Buffer.concat([this.#head, chunk]);
      this.#head = NOTHING;
    }
    while (at < chunk.length) {
      if (this.#frame !== null) {
        at += this.#fill(chunk, at);
      } else if (chunk.length - at < HEAD_SIZE) {
        this.#head = Buffer.from(chunk.subarray(at));
        return;
      } else {
        const size = LENGTH_SIZE + frameLength(chunk, at);
        if (at + size <= chunk.length) {
          this.#onFrame(chunk[at + LENGTH_SIZE], chunk.subarray(at + HEAD_SIZE, at + size));
          at += size;
        } else {
          this.#frame = Buffer.allocUnsafe(size);
          this.#filled = 0;
        }
      }
    }
  }

  #fill(chunk, at) {
    const copied = chunk.copy(this.#frame, this.#filled, at);
    this.#filled += copied;
    if (this.#filled === this.#frame.length) {
      const frame = this.#frame;
      this.#frame = null;
      this.#onFrame(frame[LENGTH_SIZE], frame.subarray(HEAD_SIZE));
    }
    return copied;
  }
}

function frameLength(chunk, at) {
  const length = chunk.readUInt32BE(at);
  if (length < 1 || length > MAX_FRAME) {
    throw new RangeError(`a frame of ${length} bytes is not of this protocol`);
  }
  return length;
}

/** One frame, or as many as the data needs, or nothing for no data. */
export function frames(type, data) {
  if (data.length === 0) return NOTHING;
  const count = Math.ceil(data.length / MAX_PIECE);
  const all = Buffer.allocUnsafe(data.length + count * HEAD_SIZE);
  let end = 0;
  for (let at = 0; at < data.length; at += MAX_PIECE) {
    const piece = data.subarray(at, at + MAX_PIECE);
    end = all.writeUInt32BE(piece.length + 1, end);
    end = all.writeUInt8(type, end);
    all.set(piece, end);
    end += piece.length;
  }
  return all;
}

/** The end of a call: exit code, and a one-line message or none. */
export function doneFrame(code, text) {
  const outcome = Buffer.alloc(5 + Buffer.byteLength(text));
  outcome.writeInt32BE(code, 0);
  outcome.writeUInt8(EXITED, 4);
  outcome.write(text, 5);
  return frames(DONE, outcome);
}
