import { z } from 'zod';
import { callJson, callSchema } from './call-json.js';
import { disconnection, type Context } from '../routing/context.js';
import {
  callOf,
  IDEMPOTENCY_KEY,
  IDEMPOTENT_REPLAYED,
  idempotencyKey,
  type Invocation,
} from './keyed-call.js';
import { MAX_WAIT_SECONDS, preferredWait, seconds } from './prefer.js';
import type { Services } from '../services.js';

const wait = z
  .string()
  .regex(/^\d+$/, 'must be a number of seconds')
  .transform((text) => seconds(text) ?? 0)
  .describe(`Seconds, at most ${MAX_WAIT_SECONDS}.`);

const accepted = z.strictObject({ callNum: z.int().min(1), status: z.literal('PENDING') });

/** What a route says of itself that accepts a call, and waits for its end if the client asks for that. */
export const ACCEPTS_CALL = {
  query: z.strictObject({ wait: wait.optional() }),
  headers: { Prefer: '`wait=SECONDS` (RFC 7240) waits as `?wait=` does.', ...IDEMPOTENCY_KEY },
  answers: {
    200: { description: 'The finished call', json: callSchema },
    202: {
      description: 'Accepted',
      json: accepted,
      headers: { Location: 'Where the call is found.', ...IDEMPOTENT_REPLAYED },
    },
  },
};

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
  ctx.body = { callNum: call.callNum, status: 'PENDING' } satisfies z.infer<typeof accepted>;
}

function applyPreference(ctx: Context): number | undefined {
  const preferred = preferredWait(ctx.get('Prefer'));
  if (preferred !== undefined) ctx.set('Preference-Applied', `wait=${preferred}`);
  return preferred;
}
