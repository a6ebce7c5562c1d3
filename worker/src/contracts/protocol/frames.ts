/** Frames of the runtime protocol, version 1: see docs/runtime-protocol.md. */
export const RUNTIME_PROTOCOL = 1;

export const FRAME = {
  CALL: 0x01,
  INPUT: 0x02,
  END_INPUT: 0x03,
  CANCEL: 0x04,
  SHUTDOWN: 0x05,
  READY: 0x11,
  OUT: 0x12,
  ERR: 0x13,
  DONE: 0x14,
} as const;

/** Why a call was done. */
export const REASON = { EXITED: 0, SIGNAL: 1, STOPPED: 2, NOT_STARTED: 3 } as const;

/** Largest frame, in bytes after its length field. */
export const MAX_FRAME = 16 * 1024 * 1024;
/** A body is cut into pieces of at most this many bytes. */
const MAX_PIECE = 1024 * 1024;
/** A body up to this size is copied behind its CALL: one write is cheaper than sparing the copy. */
const MAX_COPIED = 64 * 1024;
const LENGTH = 4;
const HEADER = LENGTH + 1;

/** Bytes that are no frame of the protocol, or a frame that may not come now. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}

/** A frame without payload. */
export function emptyFrame(type: number): Buffer {
  return Buffer.from([0, 0, 0, 1, type]);
}

/**
 * A whole call: CALL with `fields` (each `key=value`), the body, END_INPUT; as few buffers as make sense.
 * @throws TypeError when a field contains NUL, which would end it early, or when they do not fit a frame.
 */
export function encodeCall(fields: readonly string[], body: Uint8Array): Uint8Array[] {
  if (fields.some((field) => field.includes('\0'))) throw new TypeError('a field of a call contains NUL');
  const text = `${fields.join('\0')}\0`;
  const textSize = Buffer.byteLength(text);
  if (textSize >= MAX_FRAME) throw new TypeError('the fields of a call do not fit a frame');
  const copied = body.byteLength <= MAX_COPIED;
  const inputSize = copied && body.byteLength > 0 ? HEADER + body.byteLength : 0;
  const head = Buffer.allocUnsafe(HEADER + textSize + inputSize + (copied ? HEADER : 0));
  writeHeader(head, 0, FRAME.CALL, textSize);
  head.write(text, HEADER);
  if (!copied) return [head, ...encodeBody(body)];
  let offset = HEADER + textSize;
  if (inputSize > 0) {
    writeHeader(head, offset, FRAME.INPUT, body.byteLength);
    head.set(body, offset + HEADER);
    offset += inputSize;
  }
  writeHeader(head, offset, FRAME.END_INPUT, 0);
  return [head];
}

function encodeBody(body: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let offset = 0; offset < body.byteLength; offset += MAX_PIECE) {
    const piece = body.subarray(offset, offset + MAX_PIECE);
    const header = Buffer.allocUnsafe(HEADER);
    writeHeader(header, 0, FRAME.INPUT, piece.byteLength);
    frames.push(header, piece);
  }
  frames.push(emptyFrame(FRAME.END_INPUT));
  return frames;
}

function writeHeader(into: Buffer, offset: number, type: number, payloadSize: number): void {
  into.writeUInt32BE(payloadSize + 1, offset);
  into.writeUInt8(type, offset + LENGTH);
}

/**
 * Cuts a stream into frames. A frame that lies whole in one chunk is handed on as a view of it; another is gathered
 * in one buffer of its size, so that a sender of single bytes costs no more memory than its frame.
 */
export class FrameParser {
  readonly #onFrame: (type: number, payload: Buffer) => void;
  readonly #length = Buffer.alloc(LENGTH);
  #lengthHeld = 0;
  #frame: Buffer | undefined;
  #frameHeld = 0;

  constructor(onFrame: (type: number, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws ProtocolError on a length that no frame has; the stream cannot be read on. */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#frame !== undefined) {
        offset += this.#fill(this.#frame, chunk, offset);
        continue;
      }
      offset += this.#readLength(chunk, offset);
      if (this.#lengthHeld < LENGTH) return;
      this.#lengthHeld = 0;
      const length = this.#length.readUInt32BE();
      if (length < 1 || length > MAX_FRAME) throw new ProtocolError(`a frame of ${length} bytes`);
      if (offset + length <= chunk.length) {
        this.#emit(chunk.subarray(offset, offset + length));
        offset += length;
      } else {
        this.#frame = Buffer.allocUnsafe(length);
        this.#frameHeld = 0;
      }
    }
  }

  #readLength(chunk: Buffer, offset: number): number {
    const copied = chunk.copy(this.#length, this.#lengthHeld, offset);
    this.#lengthHeld += copied;
    return copied;
  }

  #fill(frame: Buffer, chunk: Buffer, offset: number): number {
    const copied = chunk.copy(frame, this.#frameHeld, offset);
    this.#frameHeld += copied;
    if (this.#frameHeld === frame.length) {
      this.#frame = undefined;
      this.#emit(frame);
    }
    return copied;
  }

  #emit(frame: Buffer): void {
    this.#onFrame(frame.readUInt8(), frame.subarray(1));
  }
}
