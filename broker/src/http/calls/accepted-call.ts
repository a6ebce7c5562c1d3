import type { AcceptedCall } from '@panal/api';
import { callJson } from './call-json.js';
import { disconnection, type Context } from '../routing/context.js';
import { callOf, idempotencyKey, type Invocation } from './keyed-call.js';
import { preferredWait } from './prefer.js';
import type { Services } from '../services.js';

/**
 * Accepts a call, and answers with it if it ends within the wait, else with its number.
 * @param waitSeconds of the query; it goes before the `Prefer` header
 * @throws PanalError as `callOf` does
 */
export async function acceptAndAnswer(
  services: Pick<Services, 'calls' | 'functions' | 'keyedCalls'>,
  ctx: Context,
  { funcName, input }: Pick<Invocation, 'funcName' | 'input'>,
  waitSeconds = applyPreference(ctx) ?? 0,
): Promise<void> {
  const { calls } = services;
  const awaited = waitSeconds > 0;
  const call = await callOf(services, ctx, { funcName, input, key: idempotencyKey(ctx), awaited });
  const settled = awaited && (await calls.settled(call, 1000 * waitSeconds, disconnection(ctx)));
  if (settled) {
    ctx.type = 'application/json';
    ctx.body = callJson(await calls.whole(settled));
    return;
  }
  ctx.status = 202;
  ctx.set('Location', `/call/${call.callNum}`);
  ctx.body = { callNum: call.callNum, status: 'PENDING' } satisfies AcceptedCall;
}

function applyPreference(ctx: Context): number | undefined {
  const preferred = preferredWait(ctx.get('Prefer'));
  if (preferred !== undefined) ctx.set('Preference-Applied', `wait=${preferred}`);
  return preferred;
}
