import type { ConnectedWorker } from './worker-table.js';

/** What there is of workers and mini-workers now. */
export interface Census {
  up: number;
  draining: number;
  /** Mini-workers of all of them. */
  slots: number;
  /** Mini-workers that have an attempt. */
  busy: number;
  /** Calls that wait for a mini-worker. */
  waiting: number;
}

export function censusOf(workers: Iterable<ConnectedWorker>, waiting: number): Census {
  const census = { up: 0, draining: 0, slots: 0, busy: 0, waiting };
  for (const { draining, hello, attempts } of workers) {
    census[draining ? 'draining' : 'up']++;
    census.slots += hello.slots;
    // What it was handed ahead waits there.
    census.busy += Math.min(attempts.size, hello.slots);
  }
  return census;
}

/** What workers did so far, since the broker started. */
export class WorkerTally {
  /** A worker that was not connected said hello. */
  connected = 0;
  /** One that was connected said so again: its connection had broken, or it had not heard of the broker. */
  reconnected = 0;
  /** One is connected no more. */
  gone = 0;
  /** Of these, those that said goodbye. */
  left = 0;
  /** One speaks another version of the protocol. */
  refused = 0;
}
