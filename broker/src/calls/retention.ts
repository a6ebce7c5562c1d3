import { setTimeout as pause } from 'node:timers/promises';
import type { CallRetention, Store } from '@panal/db';
import type { Logger } from 'pino';
import { Periodic } from '../periodic.js';

/** Between two rounds, in ms: how far beyond their number calls may pile up. */
const EVERY_MS = 60_000;
/** After each page, in ms, so that calls that come and end go first. */
const PAUSE_MS = 5;

export interface RetentionOptions {
  store: Pick<Store, 'removeCalls'>;
  /** For how long a call is kept after it settled, in ms; for good by default. */
  keepMs?: number;
  /** How many settled calls of each owner are kept, the newest; any number by default. */
  newest?: number;
  log: Logger;
  /** Epoch ms. */
  now?: () => number;
}

/**
 * Removes settled calls that were kept for long enough, or are too many, now and every minute, page by page. `DEAD` ones
 * are kept as the others are: so long they can be put back. A call that has not settled is never removed.
 */
export function retention(options: RetentionOptions): Periodic {
  return new Periodic({
    work: (signal) => removeCalls(options, signal),
    everyMs: EVERY_MS,
    failure: 'settled calls that are not to be kept were not all removed',
    log: options.log,
  });
}

async function removeCalls(
  { store, keepMs, newest, log, now = Date.now }: RetentionOptions,
  signal: AbortSignal,
): Promise<void> {
  const kept: CallRetention = {
    ...(keepMs !== undefined && { settledSince: now() - keepMs }),
    ...(newest !== undefined && { newest }),
  };
  let calls = 0;
  for await (const removed of store.removeCalls(kept)) {
    calls += removed;
    if (signal.aborted) break;
    await pause(PAUSE_MS);
  }
  if (calls > 0) log.debug({ calls }, 'removed settled calls');
}
