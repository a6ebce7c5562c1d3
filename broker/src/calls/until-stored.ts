import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';

/** Between tries to write while the store cannot, in ms. */
const STORE_RETRY_MS = 1000;

export interface UntilStoredOptions {
  /** Whether the broker stops; then the failure is thrown, so that a worker keeps its outcome for the next broker. */
  stopped: () => boolean;
  /** Whether it still matters that it is stored. */
  wanted: () => boolean;
  log: Logger;
}

/** Tries `write` until the store can: what a worker has done must not be lost to a disk that was full. */
export async function untilStored(
  write: () => Promise<void>,
  { stopped, wanted, log }: UntilStoredOptions,
): Promise<void> {
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      if (stopped()) throw error;
      log.error({ err: error }, 'the store could not write; trying again');
      await pause(STORE_RETRY_MS);
      if (!wanted()) return;
    }
  }
}
