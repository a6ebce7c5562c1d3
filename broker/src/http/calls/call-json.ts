import { isUtf8 } from 'node:buffer';
import { CALL_FIELDS, isSettled, storedCallFields, type Call } from '@panal/api';
import { sizeOfPart, type CallRecord } from '@panal/db';
import { isoTime } from '../routing/time.js';

const NOTHING = new Uint8Array(0);

/** Most bytes of its logs that the error of a call carries. */
const DETAIL_SIZE = 4096;

/** The fields of the JSON behind `funcName` and `params`. */
const LATER_FIELDS = CALL_FIELDS.filter((field) => field !== 'funcName' && field !== 'params');

const isStored = (field: keyof Call): field is keyof typeof storedCallFields =>
  Object.hasOwn(storedCallFields, field);

/**
 * The JSON text of a call. Its parameters are put in as they are stored, which is JSON already: not parsed and written
 * again, they come back to the byte, however deep they go.
 * @param limit bytes of parameters, result and logs that are shown; longer ones are cut, parameters left out.
 */
export function callJson(call: CallRecord, limit = Infinity): string {
  const hidesParams = sizeOfPart(call, 'params') > limit;
  const params = hidesParams ? undefined : paramsJson(call);
  const result = isSettled(call.status) ? shown(call.result ?? NOTHING, limit) : undefined;
  const isLonger = (part: 'result' | 'logs'): boolean => sizeOfPart(call, part) > limit;
  // Logs are for reading: what is not UTF-8 in them shows as U+FFFD.
  const logs = call.logs && shown(call.logs, limit, false);
  const computed: Partial<Record<keyof Call, unknown>> = {
    paramsEncoding: params?.base64 === true ? 'base64' : undefined,
    kind: call.input === 'prepare' ? 'prepare' : undefined,
    result: result?.text,
    resultEncoding: result?.base64 === true ? 'base64' : undefined,
    logs: logs?.text,
    error: limit === Infinity ? callError(call) : call.error,
    acceptedAt: isoTime(call.acceptedAt),
    putBackAt: call.putBack && isoTime(call.putBack.at),
    settledAt: call.settledAt === undefined ? undefined : isoTime(call.settledAt),
    truncated: hidesParams || isLonger('result') || isLonger('logs') || undefined,
  };
  const rest: typeof computed = {};
  for (const field of LATER_FIELDS) rest[field] = isStored(field) ? call[field] : computed[field];
  const first = `{"funcName":${JSON.stringify(call.funcName)},`;
  return first + (params === undefined ? '' : `"params":${params.json},`) + JSON.stringify(rest).slice(1);
}

/** Why a call failed, with the end of its logs, where a function's traceback stands. `undefined` if it did not fail. */
export function callError({ error, logs }: CallRecord): Call['error'] {
  if (error === undefined || logs === undefined || logs.byteLength === 0) return error;
  return { ...error, detail: endOf(logs, DETAIL_SIZE) };
}

/** A JSON body comes back as the JSON it is, other text as a string, anything else in base64. */
function paramsJson({ input, params }: CallRecord): { json: string; base64: boolean } | undefined {
  if (input === 'none' || input === 'prepare') return undefined;
  const { text, base64 } = shown(params, Infinity);
  const isJson = input === 'json' || (!base64 && parses(text));
  return { json: isJson ? text : JSON.stringify(text), base64 };
}

interface Shown {
  text: string;
  base64: boolean;
  cut: boolean;
}

function shown(bytes: Uint8Array, limit: number, base64 = !isUtf8(bytes)): Shown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cut = buffer.length > limit;
  let end = cut ? limit : buffer.length;
  while (cut && !base64 && isInsideCharacter(buffer[end])) end -= 1;
  return { text: buffer.toString(base64 ? 'base64' : 'utf8', 0, end), base64, cut };
}

/** The last `size` bytes of a text, from the first whole character on. */
function endOf(bytes: Uint8Array, size: number): string {
  let start = Math.max(0, bytes.byteLength - size);
  while (start > 0 && isInsideCharacter(bytes[start])) start += 1;
  return Buffer.from(bytes.subarray(start)).toString();
}

/** The second and later bytes of a character in UTF-8 are 10xxxxxx. */
const isInsideCharacter = (byte = 0): boolean => (byte & 0xc0) === 0x80;

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
