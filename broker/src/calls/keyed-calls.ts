import { createHash } from 'node:crypto';
import type { CallKey, CallRecord, KeyStore } from '@panal/db';
import { PanalError, type InputKind } from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import type { Logger } from 'pino';
import { Periodic } from '../periodic.js';

/** For how long a key gives its call. */
export const KEY_LIFE_MS = 24 * 3600 * 1000;
/** Between looks for keys that expired. */
const EXPIRY_MS = 3600 * 1000;

export interface KeyedCallsOptions {
  store: KeyStore;
  /** Finds a call as it is now. */
  getCall: (owner: string, callNum: number) => Promise<CallRecord | undefined>;
  log: Logger;
  /** Epoch ms. */
  now?: () => number;
}

/**
 * Calls whose clients named them (the `Idempotency-Key` header of draft-ietf-httpapi-idempotency-key-header): within a
 * day the same key of the same owner gives the same call, whatever happened to the answer, or to the broker.
 *
 * A key is stored in the batch that stores its call, and the call does not start before that. So there is no moment
 * at which a crash leaves one without the other, or a call that ran and whose key is not known.
 */
export class KeyedCalls {
  readonly #options: Required<KeyedCallsOptions>;
  readonly #lock = new KeyedLock();
  readonly #expiry: Periodic;

  constructor(options: KeyedCallsOptions) {
    this.#options = { now: Date.now, ...options };
    const { store, now, log } = this.#options;
    this.#expiry = new Periodic({
      work: (signal) => store.expireCallKeys(Math.max(0, now() - KEY_LIFE_MS), signal),
      everyMs: EXPIRY_MS,
      failure: 'expired idempotency keys were not removed',
      log,
    });
  }

  /** Forgets expired keys, now and every hour. */
  start(): void {
    this.#expiry.start();
  }

  /** Resolves once nothing is read or written any more. */
  async stop(): Promise<void> {
    await this.#expiry.stop();
  }

  /**
   * The call of this key: the one there is, or the one that `accept` makes. Of several at once the first one makes it.
   * @param accept stores the call with its key
   * @throws PanalError IDEMPOTENCY_KEY_REUSED where the key came with another request, CALL_NOT_FOUND where its call is
   * no longer kept; what `accept` throws
   */
  async once(
    owner: string,
    key: CallKey,
    accept: () => Promise<CallRecord>,
  ): Promise<{ call: CallRecord; replayed: boolean }> {
    return await this.#lock.run(JSON.stringify([owner, key.name]), async () => {
      const call = await this.#find(owner, key);
      return call === undefined ? { call: await accept(), replayed: false } : { call, replayed: true };
    });
  }

  async #find(owner: string, { name, fingerprint }: CallKey): Promise<CallRecord | undefined> {
    const { store, getCall, now } = this.#options;
    const keyed = await store.getKeyedCall(owner, name);
    if (keyed === undefined || keyed.acceptedAt + KEY_LIFE_MS <= now()) return undefined;
    if (keyed.fingerprint !== fingerprint) {
      const reused = `this Idempotency-Key stands for call ${keyed.callNum}, which has another function or parameter`;
      throw new PanalError('IDEMPOTENCY_KEY_REUSED', reused);
    }
    const call = await getCall(owner, keyed.callNum);
    if (call === undefined) {
      const gone = `call ${keyed.callNum} of this Idempotency-Key is no longer kept`;
      throw new PanalError('CALL_NOT_FOUND', gone);
    }
    return call;
  }
}

/** Tells one request for a call from another. */
export function fingerprintOf(funcName: string, input: { kind: InputKind; bytes: Uint8Array }): string {
  return createHash('sha256')
    .update(JSON.stringify([funcName, input.kind]))
    .update(input.bytes)
    .digest('base64');
}
