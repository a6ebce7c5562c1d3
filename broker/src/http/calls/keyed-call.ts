import { isSettled } from '@panal/api';
import type { CallRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { fingerprintOf } from '../../calls/keyed-calls.js';
import type { Context } from '../routing/context.js';
import type { CallInput, Services } from '../services.js';

const NOTHING = new Uint8Array(0);

/** Longest key, in characters. */
const MAX_KEY = 255;
/** A string of RFC 8941, 3.3.3; or, as most clients send it, the same without its quotes and escapes. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const BARE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/**
 * The request's `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
 * @throws PanalError INVALID_REQUEST where it is none, or too long
 */
export function idempotencyKey(ctx: Context): string | undefined {
  const header = ctx.req.headers['idempotency-key'];
  if (header === undefined) return undefined;
  // Node.js joins several by a comma and a space, which no bare key has; a quoted one would end in between.
  const text = String(header).trim();
  const name = QUOTED.exec(text)?.[1]?.replace(/\\(.)/g, '$1') ?? BARE.exec(text)?.[0] ?? '';
  if (name === '' || name.length > MAX_KEY) {
    throw new PanalError('INVALID_REQUEST', `Idempotency-Key must be one key of 1 to ${MAX_KEY} characters`);
  }
  return name;
}

export interface Invocation {
  funcName: string;
  input: CallInput;
  /** The request's `Idempotency-Key`, if it has one. */
  key: string | undefined;
  /** Whether the client waits for the outcome. */
  awaited: boolean;
}

/**
 * The call that a request stands for: a new call, or the call that was accepted with the same key before. The key comes
 * first: its call is found although the function has been deleted since.
 * @throws PanalError FUNCTION_NOT_FOUND, what `CallService.accept` and `KeyedCalls.once` throw
 */
export async function callOf(
  { calls, functions, keyedCalls }: Pick<Services, 'calls' | 'functions' | 'keyedCalls'>,
  ctx: Context,
  { funcName, input, key: name, awaited }: Invocation,
): Promise<CallRecord> {
  const { owner } = ctx.state;
  if (name === undefined)
    return await calls.accept(await functions.active(owner, funcName), input, { awaited });
  const key = { name, fingerprint: fingerprintOf(funcName, input) };
  const { call, replayed } = await keyedCalls.once(owner, key, async () => {
    const version = await functions.active(owner, funcName);
    return await calls.accept(version, input, { awaited: false, key });
  });
  if (!replayed) return call;
  ctx.set('Idempotent-Replayed', 'true');
  // Of a call that has not ended nobody shows the parameter, and many may wait for it.
  return isSettled(call.status) ? call : { ...call, params: NOTHING, logs: undefined };
}
