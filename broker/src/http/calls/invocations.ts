import { isUtf8 } from 'node:buffer';
import { routes } from '@panal/api';
import type { CallRecord } from '@panal/db';
import { acceptAndAnswer } from './accepted-call.js';
import { endOfCall } from './awaited-call.js';
import { readBody } from '../routing/body.js';
import { jsonInput, NO_INPUT } from './call-input.js';
import { callError } from './call-json.js';
import type { Context } from '../routing/context.js';
import { callOf, idempotencyKey } from './keyed-call.js';
import { route, type Route } from '../routing/route.js';
import type { CallInput, Services } from '../services.js';

/** How long `/run` waits: past every deadline, retry and reasonable queue. A guard against waiting for good. */
const RUN_WAIT_MS = 24 * 3600 * 1000;

/** Bytes of a text up to which to decode it, and encode it again, costs less than a piece of its own. */
const SHORT_TEXT = 16 * 1024;

export const invocationRoutes = (services: Services): Route[] => {
  const { calls, limits, log } = services;
  return [
    route(routes.run, async (ctx, { params, query: { onDisconnect } }) => {
      const { funcName } = params;
      const key = idempotencyKey(ctx);
      const bytes = await readBody(ctx.req, limits.body);
      // Nothing given is no parameter, rather than an empty one.
      const input: CallInput = bytes.byteLength === 0 ? NO_INPUT : { kind: 'raw', bytes };
      const call = await callOf(services, ctx, { funcName, input, key, awaited: true });
      ctx.set('X-Call-Num', String(call.callNum));
      const fate = onDisconnect ?? (key === undefined ? 'cancel' : 'keep');
      answerRun(ctx, await endOfCall({ calls, log }, ctx, call, RUN_WAIT_MS, fate));
    }),
    route(routes.invokeFunction, async (ctx, { query, body, members }) => {
      const input = jsonInput(members.get('params'));
      await acceptAndAnswer(services, ctx, { funcName: body.funcName, input }, query.wait);
    }),
  ];
};

function answerRun(ctx: Context, call: CallRecord | undefined): void {
  if (call?.status === 'DONE') {
    const { buffer, byteOffset, byteLength } = call.result ?? new Uint8Array(0);
    const body = Buffer.from(buffer, byteOffset, byteLength);
    const isText = isUtf8(body);
    ctx.set('Content-Type', isText ? 'text/plain; charset=utf-8' : 'application/octet-stream');
    // What a stranger's function wrote is nothing for a browser to guess at.
    ctx.set('X-Content-Type-Options', 'nosniff');
    // Node.js writes a string in one go with the head, and a buffer in a second piece: a third of the time to answer.
    ctx.body = isText && byteLength <= SHORT_TEXT ? body.toString() : body;
    return;
  }
  ctx.status = call === undefined || call.status === 'TIMEOUT' ? 504 : 502;
  ctx.body = { error: call === undefined ? STILL_RUNNING : (callError(call) ?? NO_REASON) };
}

const STILL_RUNNING = { code: 'TIMEOUT', message: 'the call has not ended; GET /call/:callNum follows it' };
const NO_REASON = { code: 'FUNCTION_FAILED', message: 'the call failed' };
