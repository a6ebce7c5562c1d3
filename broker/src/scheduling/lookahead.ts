import { KeyedRoundRobin } from './round-robin.js';

/** A worker, as far as it matters here. */
export interface Runner {
  readonly id: string;
  readonly slots: number;
  readonly idleSlots: readonly number[];
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
  readonly #runners = new KeyedRoundRobin<W>();

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

  /** The worker has one call less of this version; `false` if it was not known to have one. */
  ended(worker: W, functionId: string): boolean {
    const before = worker.callsOf.get(functionId);
    if (before === undefined) return false;
    worker.calls--;
    if (before > 1) {
      worker.callsOf.set(functionId, before - 1);
      return true;
    }
    worker.callsOf.delete(functionId);
    this.#runners.leave(functionId, worker);
    return true;
  }

  /**
   * A worker that has fewer than `each` calls ahead for each that it runs of this version. All of its mini-workers are
   * busy, but for those that are spared for others.
   */
  workerFor(functionId: string, each: number, suits: (worker: W) => boolean): W | undefined {
    return this.#runners.find(functionId, (worker) => {
      const ahead = worker.calls - worker.slots + worker.idleSlots.length;
      const running = (worker.callsOf.get(functionId) ?? 0) - ahead;
      return ahead >= 0 && ahead < each * running && suits(worker);
    });
  }
}
