import { Turns } from './turns.js';

/** A worker, as far as it matters here. */
export interface Holder {
  readonly id: string;
  readonly idleSlots: number[];
  /** Idle sandboxes by key: a function id, or `runtime:IMAGE`. */
  readonly holds: Map<string, number>;
}

/** How many workers that hold a wanted sandbox are looked at before another kind of place is taken. */
const PROBES = 4;

/** Most keys that are noted of a worker: one for each sandbox that it may keep (`FAAS_SANDBOXES`). */
const MOST_KEYS = 100_000;

/** Which workers hold idle sandboxes of what. */
export class Holders<W extends Holder> {
  readonly #workers = new Map<string, Turns<W>>();

  /** The worker has so many idle sandboxes for `key`. */
  set(worker: W, key: string, idle: number): void {
    const holders = this.#workers.get(key);
    if (idle === 0) {
      worker.holds.delete(key);
      holders?.leave(worker);
      if (holders?.size === 0) this.#workers.delete(key);
      return;
    }
    if (worker.holds.size >= MOST_KEYS && !worker.holds.has(key)) return;
    worker.holds.set(key, idle);
    if (holders === undefined) this.#workers.set(key, new Turns());
    this.#workers.get(key)?.join(worker);
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

  /** One that has an idle mini-worker and a sandbox for `key`; each in turn. */
  idleOne(key: string): W | undefined {
    const holders = this.#workers.get(key);
    if (holders === undefined) return undefined;
    for (let probes = Math.min(PROBES, holders.size); probes > 0; probes--) {
      const worker = holders.next();
      if (worker !== undefined && worker.idleSlots.length > 0) return worker;
    }
    return undefined;
  }
}
