import type { AcceptedCall } from '@panal/api';
import type { CallRecord } from '@panal/db';
import { answerJson } from './answer-json.js';
import { callJson } from './call-json.js';
import { disconnection, type Context } from '../routing/context.js';
import { callOf, idempotencyKey, type Invocation } from './keyed-call.js';
import { preferredWait } from './prefer.js';
import { NOTHING_LEFT, type Rest } from '../routing/route.js';
import type { Services } from '../services.js';
import { acceptAwaited, type AnswerCall } from './waiting-client.js';
import { answerWhole } from './whole-call.js';

/**
 * Accepts a call; what is left to do is to answer with it if it ends within the wait, else with its number.
 * @param waitSeconds of the query; it goes before the `Prefer` header
 * @throws PanalError as `acceptAwaited` does
 */
export async function acceptAndAnswer(
  services: Services,
  ctx: Context,
  { funcName, input }: Pick<Invocation, 'funcName' | 'input'>,
  waitSeconds = applyPreference(ctx) ?? 0,
): Promise<Rest> {
  const invocation = { funcName, input, key: idempotencyKey(ctx), awaited: waitSeconds > 0 };
  if (!invocation.awaited) {
    answerAccepted(ctx, await callOf(services, ctx, invocation));
    return NOTHING_LEFT;
  }
  return await acceptAwaited(services, ctx, invocation, answerAtEnd(services, ctx, 1000 * waitSeconds));
}

function answerAtEnd(services: Services, ctx: Context, waitMs: number): AnswerCall {
  return (call) =>
    services.calls.settled(call, waitMs, disconnection(ctx)).then((settled) =>
      answerWhole(services, ctx, settled, (whole) => {
        if (whole === undefined) answerAccepted(ctx, call);
        else answerJson(ctx, callJson(whole));
      }),
    );
}

function answerAccepted(ctx: Context, { callNum }: Pick<CallRecord, 'callNum'>): void {
  ctx.status = 202;
  ctx.set('Location', `/call/${callNum}`);
  ctx.body = { callNum, status: 'PENDING' } satisfies AcceptedCall;
}

function applyPreference(ctx: Context): number | undefined {
  const preferred = preferredWait(ctx.get('Prefer'));
  if (preferred !== undefined) ctx.set('Preference-Applied', `wait=${preferred}`);
  return preferred;
}
