import { copyOfCall, type CallRecord } from './records.js';
import { callHeadSchema } from './schemas.js';

/** The first byte of every stored call; another layout gets another number. */
const LAYOUT = 1;
/** Layout, then the sizes of head, params, result and logs as 32 bits each, big-endian. */
const PREFIX_BYTES = 17;
/** The size of a part that the call does not have. */
const ABSENT = 0xffff_ffff;

/** A call as bytes: prefix, head (JSON), then params, result and logs as they are. */
export function encodeCall(call: CallRecord, status = call.status): Buffer {
  const { params, result, logs } = call;
  const rest: Partial<Record<keyof CallRecord, unknown>> = copyOfCall(call);
  rest.params = rest.result = rest.logs = undefined;
  rest.status = status;
  const head = JSON.stringify(rest);
  const headBytes = Buffer.byteLength(head);
  const parts = [params, result, logs];
  const total = parts.reduce((sum, part) => sum + (part?.byteLength ?? 0), PREFIX_BYTES + headBytes);
  const bytes = Buffer.allocUnsafe(total);
  let at = bytes.writeUInt8(LAYOUT, 0);
  at = bytes.writeUInt32BE(headBytes, at);
  for (const part of parts) at = bytes.writeUInt32BE(part?.byteLength ?? ABSENT, at);
  at += bytes.write(head, at);
  for (const part of parts) {
    if (part === undefined) continue;
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

/**
 * Reads what `encodeCall` wrote. Params, result and logs are views of `bytes`.
 * @throws Error if the bytes are not a call.
 */
export function decodeCall(bytes: Uint8Array): CallRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const layout = buffer.readUInt8(0);
  if (layout !== LAYOUT) throw new Error(`unknown layout ${layout}`);
  let at = PREFIX_BYTES;
  const take = (sizeAt: number): Buffer | undefined => {
    const size = buffer.readUInt32BE(sizeAt);
    if (size === ABSENT) return undefined;
    const part = buffer.subarray(at, at + size);
    if (part.byteLength !== size) throw new Error('the record is cut short');
    at += size;
    return part;
  };
  const [head, params, result, logs] = [take(1), take(5), take(9), take(13)];
  if (head === undefined || params === undefined) throw new Error('the record has no head or no params');
  if (at !== buffer.byteLength) throw new Error('the record is too long');
  return {
    ...callHeadSchema.parse(JSON.parse(head.toString())),
    params,
    ...(result && { result }),
    ...(logs && { logs }),
  };
}
