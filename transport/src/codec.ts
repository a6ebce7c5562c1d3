import { z } from 'zod';

/** A message, and the bytes that go with it (an input, a result, a chunk). */
export interface Envelope<M> {
  message: M;
  parts: readonly Uint8Array[];
}

/** Frames that are no message of the protocol: garbage, or another protocol's. */
export class MalformedMessage extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MalformedMessage';
  }
}

/** Most messages in one ZeroMQ message. */
export const MAX_BATCH = 1024;

const sizesSchema = z.array(z.int().min(0)).max(4);
const NOTHING: readonly Uint8Array[] = [];
const NO_BYTES = new Uint8Array(0);

/**
 * Writes several messages as the two frames of one ZeroMQ message: a JSON array of them, each with the sizes of its
 * parts, then all parts end to end. Two frames however many messages: a frame costs more than a copy of a few bytes.
 */
export function encode(batch: readonly Envelope<object>[]): [string, Uint8Array] {
  const parts: Uint8Array[] = [];
  const head = batch.map(({ message, parts: own }) => {
    const text = JSON.stringify(message);
    if (own.length === 0) return text;
    parts.push(...own);
    // Written into the text: a copy of the message with its sizes would cost as much as the text itself.
    return `${text.slice(0, -1)},"parts":[${own.map((part) => part.byteLength).join()}]}`;
  });
  const body = parts.length === 1 ? parts[0] : Buffer.concat(parts);
  return [`[${head.join()}]`, body ?? NO_BYTES];
}

/**
 * Reads what `encode` wrote, each message checked against `schema`.
 * @throws MalformedMessage
 */
export function decode<M>(frames: readonly Buffer[], schema: z.ZodType<M>): Envelope<M>[] {
  const [head, body] = frames;
  if (frames.length !== 2 || head === undefined || body === undefined) {
    throw new MalformedMessage(`expected 2 frames, got ${frames.length}`);
  }
  let offset = 0;
  const take = (size: number): Uint8Array => {
    const part = body.subarray(offset, offset + size);
    if (part.byteLength !== size) throw new MalformedMessage('the parts are longer than the body');
    offset += size;
    return part;
  };
  const batch = parseHead(head).map((item): Envelope<M> => {
    const message = schema.safeParse(item);
    if (!message.success) throw new MalformedMessage(z.prettifyError(message.error));
    const sizes = (item as { parts?: unknown }).parts;
    if (sizes === undefined) return { message: message.data, parts: NOTHING };
    const checked = sizesSchema.safeParse(sizes);
    if (!checked.success) throw new MalformedMessage('parts must be a short list of sizes');
    return { message: message.data, parts: checked.data.map(take) };
  });
  if (offset !== body.byteLength) throw new MalformedMessage('the body is longer than the parts');
  return batch;
}

function parseHead(frame: Buffer): object[] {
  let value: unknown;
  try {
    value = JSON.parse(frame.toString());
  } catch (cause) {
    throw new MalformedMessage('the first frame is not JSON', { cause });
  }
  if (!Array.isArray(value) || value.length > MAX_BATCH)
    throw new MalformedMessage('not a batch of messages');
  for (const item of value) {
    if (typeof item !== 'object' || item === null) throw new MalformedMessage('a message must be an object');
  }
  return value as object[];
}
