import { callHeadSchema } from './call-head.js';
import { CALL_PARTS, copyOfCall, type CallPart, type CallRecord } from './records.js';

/** The first byte of every stored call; another layout gets another number. */
const LAYOUT = 1;
/** Layout, then the sizes of head, params, result and logs as 32 bits each, big-endian. */
const PREFIX_BYTES = 17;
/** The size of a part that the call does not have. */
const ABSENT = 0xffff_ffff;

/**
 * Longest parts that are stored in the record of a call, in bytes. Longer ones are kept apart from it, so that a call
 * that waits need not be in memory whole, and lists read little. Of a result and of logs the record has the beginning.
 */
export const INLINE_BYTES: Readonly<Record<CallPart, number>> = {
  params: 1024,
  result: 16 * 1024,
  logs: 1024,
};

/** Bytes of a part up to which lists show it. */
export const LIST_BYTES = 16 * 1024;

const NOTHING = new Uint8Array(0);

/** The parts that a call has in memory, and that are to be stored apart from its record. */
export function longPartsOf(call: CallRecord): [part: CallPart, bytes: Uint8Array][] {
  return CALL_PARTS.flatMap((part): [CallPart, Uint8Array][] => {
    const bytes = call[part];
    if (bytes === undefined || bytes.byteLength <= INLINE_BYTES[part] || isApart(call, part)) return [];
    return [[part, bytes]];
  });
}

/** A call as bytes: prefix, head (JSON), then params, result and logs, as far as they are not kept apart. */
export function encodeCall(call: CallRecord, status = call.status): Buffer {
  const rest: Partial<Record<keyof CallRecord, unknown>> = copyOfCall(call);
  rest.params = rest.result = rest.logs = undefined;
  rest.status = status;
  const long = longPartsOf(call);
  if (long.length > 0) {
    rest.apart = {
      ...call.apart,
      ...Object.fromEntries(long.map(([part, bytes]) => [part, bytes.byteLength])),
    };
  }
  const head = JSON.stringify(rest);
  const headBytes = Buffer.byteLength(head);
  const parts = CALL_PARTS.map((part) => inlineOf(call, part));
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
 * Reads what `encodeCall` wrote. Params, result and logs are views of `bytes`; those that `apart` names are not whole.
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

function isApart(call: CallRecord, part: CallPart): boolean {
  return call.apart?.[part] !== undefined;
}

/** What the record holds of a part: it whole, or the beginning of a long result or of long logs. */
function inlineOf(call: CallRecord, part: CallPart): Uint8Array | undefined {
  const bytes = call[part];
  if (bytes === undefined || bytes.byteLength <= INLINE_BYTES[part]) return bytes;
  return part === 'params' ? NOTHING : beginningOf(bytes);
}

/** Of a text in UTF-8, whose second and later bytes of a character are 10xxxxxx, no part of a character. */
function beginningOf(bytes: Uint8Array): Uint8Array {
  let end = LIST_BYTES;
  while (end > LIST_BYTES - 3 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
