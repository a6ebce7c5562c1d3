import { isUtf8 } from 'node:buffer';
import { routes } from '@panal/api';
import type { CallRecord } from '@panal/db';
import { readBody } from '../routing/body.js';
import { acceptAndAnswer } from './accepted-call.js';
import { endOfCall } from './awaited-call.js';
import { jsonInput, NO_INPUT } from './call-input.js';
import { callError } from './call-json.js';
import type { Context } from '../routing/context.js';
import { idempotencyKey } from './keyed-call.js';
import { waitingRoute, type Route } from '../routing/route.js';
import type { CallInput, Services } from '../services.js';
import { acceptAwaited, type AnswerCall } from './waiting-client.js';
import { answerWhole } from './whole-call.js';

/** How long `/run` waits: past every deadline, retry and reasonable queue. A guard against waiting for good. */
const RUN_WAIT_MS = 24 * 3600 * 1000;

/** Bytes of a text up to which to decode it, and encode it again, costs less than a piece of its own. */
const SHORT_TEXT = 16 * 1024;

export const invocationRoutes = (services: Services): Route[] => [
  waitingRoute(routes.run, async (ctx, { params: { funcName }, query: { onDisconnect } }) => {
    const key = idempotencyKey(ctx);
    const input = await rawInput(services, ctx);
    const answer = answerRun(services, ctx, onDisconnect ?? (key === undefined ? 'cancel' : 'keep'));
    return await acceptAwaited(services, ctx, { funcName, input, key, awaited: true }, answer);
  }),
  waitingRoute(routes.invokeFunction, (ctx, { query, body, members }) => {
    const input = jsonInput(members.get('params'));
    return acceptAndAnswer(services, ctx, { funcName: body.funcName, input }, query.wait);
  }),
];

async function rawInput({ limits, memory }: Services, ctx: Context): Promise<CallInput> {
  const read = readBody(ctx.req, limits.body);
  memory.bodies.count(ctx.req, ctx.state.owner);
  const bytes = await read;
  // Nothing given is no parameter, rather than an empty one.
  return bytes.byteLength === 0 ? NO_INPUT : { kind: 'raw', bytes };
}

/** Waits for the end of the call, and answers with its output. */
function answerRun(services: Services, ctx: Context, onDisconnect: 'cancel' | 'keep'): AnswerCall {
  return (call) => {
    ctx.set('X-Call-Num', String(call.callNum));
    return endOfCall(services, ctx, call, RUN_WAIT_MS, onDisconnect).then((settled) =>
      answerWhole(services, ctx, settled, (whole) => answerOutput(ctx, whole)),
    );
  };
}

function answerOutput(ctx: Context, call: CallRecord | undefined): void {
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
