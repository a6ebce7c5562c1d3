import { KeyedRoundRobin } from './round-robin.js';

/** A worker, as far as it matters here. */
export interface Holder {
  readonly id: string;
  /** Idle sandboxes by key: a function id, or `runtime:IMAGE`. */
  readonly holds: Map<string, number>;
}

/** Most keys that are noted of a worker: one for each sandbox that it may keep (`FAAS_SANDBOXES`). */
const MOST_KEYS = 100_000;

/** Which workers hold idle sandboxes of what. */
export class Holders<W extends Holder> {
  readonly #workers = new KeyedRoundRobin<W>();

  /** The worker has so many idle sandboxes for `key`. */
  set(worker: W, key: string, idle: number): void {
    if (idle === 0) {
      worker.holds.delete(key);
      this.#workers.leave(key, worker);
      return;
    }
    if (worker.holds.size >= MOST_KEYS && !worker.holds.has(key)) return;
    worker.holds.set(key, idle);
    this.#workers.join(key, worker);
  }

  /** Presumes one sandbox taken, until the worker says how many it holds. */
  use(worker: W, key: string): void {
    const idle = worker.holds.get(key);
    if (idle !== undefined) this.set(worker, key, idle - 1);
  }

  /** The worker holds nothing more. */
  remove(worker: W): void {
    for (const key of worker.holds.keys()) this.set(worker, key, 0);
  }

  /** One that has a sandbox for `key` and may take a call; each in turn. */
  oneFor(key: string, mayTake: (worker: W) => boolean): W | undefined {
    return this.#workers.find(key, mayTake);
  }
}
