import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '@panal/protocol';
import { Closers } from './closers.js';
import { listen } from './http/server/listen.js';
import { createWaitingApp } from './http/waiting-app.js';
import type { ErrorMetrics } from './metrics/error-metrics.js';
import { openState, type State, type StateParts } from './state.js';

/** Between two tries to open the store, in ms. */
const RETRY_MS = 1000;

export interface WaitingParts extends StateParts {
  errors: ErrorMetrics;
  /** Ends the wait. */
  signal: AbortSignal | undefined;
}

/**
 * Opens what the broker keeps. If the disk is too full for that, it waits for space, and answers at the broker's HTTP
 * address meanwhile: requests get 503, `/readyz` with the reason.
 * @throws the reason of `signal`; what `openState` throws, unless the disk is full
 */
export async function openStateWhenRoom(config: Config, parts: WaitingParts): Promise<State> {
  const first = await tryToOpen(config, parts);
  if ('state' in first) return first.state;
  const problem = `the disk of the store is full: ${first.full.message}`;
  parts.log.error(`${problem}; the broker waits for space`);
  const listener = await listen(createWaitingApp(problem, parts.log, parts.errors), config.HOST, config.PORT);
  try {
    for (;;) {
      await pause(RETRY_MS, undefined, { signal: parts.signal });
      const next = await tryToOpen(config, parts);
      if ('state' in next) return next.state;
    }
  } finally {
    await listener.close(0);
  }
}

async function tryToOpen(
  config: Config,
  { closers, ...parts }: StateParts,
): Promise<{ state: State } | { full: Error }> {
  const opened = new Closers();
  try {
    const state = await openState(config, { ...parts, closers: opened });
    closers.add(() => opened.close());
    return { state };
  } catch (error) {
    await opened.close();
    if (!isDiskFull(error)) throw error;
    return { full: error };
  }
}

/** Whether a file could not be written for want of space, or of an inode; LevelDB says so in words alone. */
function isDiskFull(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  if (['ENOSPC', 'EDQUOT'].includes(code) || /No space left|quota exceeded/i.test(error.message)) return true;
  return isDiskFull(error.cause);
}
