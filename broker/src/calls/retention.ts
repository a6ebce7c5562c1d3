import { setTimeout as pause } from 'node:timers/promises';
import type { CallRetention, CallStore } from '@panal/db';
import type { Logger } from 'pino';
import { Periodic } from '../periodic.js';

/** Between two rounds over all owners, in ms. */
const ROUND_MS = 60_000;
/** Between two checks of the bytes of all calls, in ms. */
const LOOK_MS = 1000;
/** Space of removed calls is given back once an owner has so many bytes of it; at once if the disk is short of space. */
const RECLAIM_BYTES = 16 * 1024 * 1024;
/** Pauses for so many ms after so many removed calls, so that live calls go first. */
const PAUSE_MS = 5;
const PAUSE_CALLS = 250;

/** Which settled calls are kept; what is `undefined` is not bounded. */
export interface KeptCalls {
  /** For how long after it settled, in ms. */
  keepMs?: number | undefined;
  /** How many of each owner, the newest. */
  newest?: number | undefined;
  /** How many bytes of each owner, the newest. */
  ownerBytes?: (() => number | undefined) | undefined;
  /** How many bytes in all, the newest. */
  bytes?: number | undefined;
}

export interface RetentionOptions {
  store: Pick<CallStore, 'removeCalls' | 'callUsage' | 'reclaim'>;
  kept: KeptCalls;
  /** Whether the disk is short of space; never by default. */
  isShort?: () => boolean;
  log: Logger;
  /** Epoch ms. */
  now?: () => number;
}

/**
 * Removes settled calls that are too old, too many or too large, page by page, at start and once a minute. Calls that
 * together exceed `bytes` go within a second. A `DEAD` call is kept as long as any other, and can be put back until then.
 * A call that has not settled is never removed.
 */
export function retention(options: RetentionOptions): Periodic {
  let nextRound = 0;
  return new Periodic({
    async work(signal) {
      if (performance.now() >= nextRound) {
        nextRound = performance.now() + ROUND_MS;
        await removeCalls(options, boundsOf(options), signal);
      } else if (await isTooMuch(options)) {
        await removeCalls(options, { bytes: options.kept.bytes }, signal);
      }
      // Also of users who were deleted.
      await reclaim(options);
    },
    everyMs: LOOK_MS,
    failure: 'settled calls that are not to be kept were not all removed',
    log: options.log,
  });
}

function boundsOf({ kept, now = Date.now }: RetentionOptions): CallRetention {
  const { keepMs, newest, ownerBytes, bytes } = kept;
  const settledSince = keepMs === undefined ? undefined : now() - keepMs;
  return { settledSince, newest, ownerBytes: ownerBytes?.(), bytes };
}

async function isTooMuch({ store, kept: { bytes = Infinity } }: RetentionOptions): Promise<boolean> {
  return bytes !== Infinity && (await store.callUsage()).bytes > bytes;
}

async function reclaim({ store, isShort }: RetentionOptions): Promise<void> {
  await store.reclaim(isShort?.() === true ? 0 : RECLAIM_BYTES);
}

async function removeCalls(
  options: RetentionOptions,
  bounds: CallRetention,
  signal: AbortSignal,
): Promise<void> {
  const { store, log } = options;
  let [calls, sincePause] = [0, 0];
  for await (const removed of store.removeCalls(bounds)) {
    calls += removed;
    sincePause += removed;
    if (signal.aborted) break;
    if (sincePause < PAUSE_CALLS) continue;
    sincePause = 0;
    await reclaim(options);
    await pause(PAUSE_MS);
  }
  if (calls > 0) log.debug({ calls }, 'removed settled calls');
}
