import { KeyedTurns } from './keyed-turns.js';

/** A worker, as far as it matters here. */
export interface Runner {
  readonly id: string;
  readonly slots: number;
  /** Calls that it has, those that wait there included; in all, and by version. */
  calls: number;
  readonly callsOf: Map<string, number>;
}

/**
 * Which busy workers may be handed one call more, ahead of the end of one that they have: the next call of a short
 * function then begins as soon as the one before it ends, and not a way to the broker and back later; and what there is
 * to say of several travels as one message, which wakes fewer threads.
 */
export class Lookahead<W extends Runner> {
  /** The workers that have calls of a version. */
  readonly #runners = new KeyedTurns<W>();

  /** Hands this worker nothing more. */
  remove(worker: W): void {
    for (const functionId of worker.callsOf.keys()) this.#runners.leave(functionId, worker);
    worker.callsOf.clear();
  }

  /** The worker has one call more of this version. */
  begun(worker: W, functionId: string): void {
    const before = worker.callsOf.get(functionId) ?? 0;
    worker.calls++;
    worker.callsOf.set(functionId, before + 1);
    if (before === 0) this.#runners.join(functionId, worker);
  }

  /** The worker has one call less of this version. */
  ended(worker: W, functionId: string): void {
    const before = worker.callsOf.get(functionId);
    if (before === undefined) return;
    worker.calls--;
    if (before > 1) {
      worker.callsOf.set(functionId, before - 1);
      return;
    }
    worker.callsOf.delete(functionId);
    this.#runners.leave(functionId, worker);
  }

  /** A worker all of whose mini-workers are busy, and which has fewer than `each` calls ahead for each that it runs of this version. */
  workerFor(functionId: string, each: number): W | undefined {
    return this.#runners.find(functionId, ({ calls, slots, callsOf }) => {
      const ahead = calls - slots;
      const running = (callsOf.get(functionId) ?? 0) - ahead;
      return ahead >= 0 && ahead < each * running;
    });
  }
}
