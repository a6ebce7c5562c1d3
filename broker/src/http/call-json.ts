import { isUtf8 } from 'node:buffer';
import type { CallRecord } from '@panal/db';
import { CALL_STATUSES, isSettled, LIFECYCLES } from '@panal/protocol';
import { z } from 'zod';
import { isoTime } from './time.js';

const NOTHING = new Uint8Array(0);

/** A call as clients see it. Parameters and results that are not text stand in base64. */
export const callSchema = z.strictObject({
  callNum: z.int().min(1),
  funcName: z.string(),
  version: z.int().min(1),
  owner: z.string(),
  status: z.enum(CALL_STATUSES),
  params: z.unknown().optional(),
  paramsEncoding: z.literal('base64').optional(),
  result: z.string().optional(),
  resultEncoding: z.literal('base64').optional(),
  logs: z.string().optional(),
  attempts: z.int().min(0),
  exitCode: z.int().optional(),
  error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  worker: z.string().optional(),
  start: z.enum(LIFECYCLES).optional(),
  preloaded: z.boolean().optional(),
  timings: z
    .strictObject({ queued: z.number(), prepare: z.number(), run: z.number(), total: z.number() })
    .optional(),
  acceptedAt: z.iso.datetime(),
  putBackAt: z.iso.datetime().optional().describe('When it was last put back after it was DEAD.'),
  settledAt: z.iso.datetime().optional(),
  truncated: z.literal(true).optional().describe('In lists: something was too long to be shown whole.'),
});

/**
 * The JSON text of a call. Its parameters are put in as they are stored, which is JSON already: not parsed and written
 * again, they come back to the byte, however deep they go.
 * @param limit bytes of parameters, result and logs that are shown; longer ones are cut, parameters left out.
 */
export function callJson(call: CallRecord, limit = Infinity): string {
  const params = call.params.byteLength > limit ? undefined : paramsJson(call);
  const result = isSettled(call.status) ? shown(call.result ?? NOTHING, limit) : undefined;
  // Logs are for reading: what is not UTF-8 in them shows as U+FFFD.
  const logs = call.logs && shown(call.logs, limit, false);
  const rest = JSON.stringify({
    paramsEncoding: params?.base64 === true ? 'base64' : undefined,
    callNum: call.callNum,
    status: call.status,
    result: result?.text,
    resultEncoding: result?.base64 === true ? 'base64' : undefined,
    version: call.version,
    owner: call.owner,
    attempts: call.attempts,
    exitCode: call.exitCode,
    logs: logs?.text,
    error: call.error,
    worker: call.worker,
    start: call.start,
    preloaded: call.preloaded,
    timings: call.timings,
    acceptedAt: isoTime(call.acceptedAt),
    putBackAt: call.putBack && isoTime(call.putBack.at),
    settledAt: call.settledAt === undefined ? undefined : isoTime(call.settledAt),
    truncated: call.params.byteLength > limit || result?.cut === true || logs?.cut === true || undefined,
  });
  const first = `{"funcName":${JSON.stringify(call.funcName)},`;
  return first + (params === undefined ? '' : `"params":${params.json},`) + rest.slice(1);
}

/** A JSON body comes back as the JSON it is, other text as a string, anything else in base64. */
function paramsJson({ input, params }: CallRecord): { json: string; base64: boolean } | undefined {
  if (input === 'none') return undefined;
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
  // Not in the midst of a character: its second and later bytes are 10xxxxxx.
  while (cut && !base64 && ((buffer[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return { text: buffer.toString(base64 ? 'base64' : 'utf8', 0, end), base64, cut };
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
