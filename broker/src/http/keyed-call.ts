import type { CallRecord, VersionRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { fingerprintOf } from '../calls/keyed-calls.js';
import type { Context } from './context.js';
import type { CallInput, Services } from './services.js';

/** Longest key, in characters. */
const MAX_KEY = 255;
/** A string of RFC 8941, 3.3.3; or, as most clients send it, the same without its quotes and escapes. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const BARE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** For the description of a route that heeds the header. */
export const IDEMPOTENCY_KEY = {
  'Idempotency-Key':
    'Names the request, in at most 255 characters: sent again within a day, it gives the same call.',
};
export const IDEMPOTENT_REPLAYED = {
  'Idempotent-Replayed': '`true` where the call was accepted with an earlier request of this key.',
};

/** What a request with a key may be refused with, beyond all else. */
export const KEY_ERRORS = ['IDEMPOTENCY_KEY_REUSED', 'CALL_NOT_FOUND'] as const;

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

export interface KeyedRequest {
  /** Its `Idempotency-Key`. */
  key: string;
  /** What to call if there is no call of this key yet. */
  version: VersionRecord;
  input: CallInput;
}

/** The call that a request with an `Idempotency-Key` stands for. */
export async function keyedCall(
  { calls, functions, keyedCalls }: Pick<Services, 'calls' | 'functions' | 'keyedCalls'>,
  ctx: Context,
  { key: name, version, input }: KeyedRequest,
): Promise<CallRecord> {
  const key = { name, fingerprint: fingerprintOf(version.spec.name, input) };
  const { owner } = ctx.state;
  const { call, replayed } = await keyedCalls.once(owner, key, async () => {
    // Anew: the one that was given before may have been deleted while the key was looked up.
    const current = await functions.active(owner, version.spec.name);
    return await calls.accept(current, input, { awaited: false, key });
  });
  if (replayed) ctx.set('Idempotent-Replayed', 'true');
  return call;
}
