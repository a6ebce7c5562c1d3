import { Turns } from './turns.js';

interface Load {
  readonly workerId: string;
  readonly slots: number;
  /** Calls that the worker has, those that wait there included; by version. */
  total: number;
  readonly of: Map<string, number>;
}

/** How many workers that run a function are looked at. */
const PROBES = 4;

/**
 * Which busy workers may be handed one call more, ahead of the end of one that they have: the next call of a short
 * function then begins as soon as the one before it ends, and not a way to the broker and back later. With as many
 * calls ahead as run, both sides have something to do all the time.
 */
export class Lookahead {
  readonly #loads = new Map<string, Load>();
  /** The workers that have calls of a version. */
  readonly #runners = new Map<string, Turns<Load>>();

  addWorker(workerId: string, slots: number): void {
    this.removeWorker(workerId);
    this.#loads.set(workerId, { workerId, slots, total: 0, of: new Map() });
  }

  removeWorker(workerId: string): void {
    const load = this.#loads.get(workerId);
    if (load === undefined) return;
    this.#loads.delete(workerId);
    for (const functionId of load.of.keys()) this.#leave(load, functionId);
  }

  /** The worker has one call more of this version. */
  begun(workerId: string, functionId: string): void {
    const load = this.#loads.get(workerId);
    if (load === undefined) return;
    const before = load.of.get(functionId) ?? 0;
    load.total++;
    load.of.set(functionId, before + 1);
    if (before > 0) return;
    const runners = this.#runners.get(functionId);
    if (runners === undefined) this.#runners.set(functionId, new Turns());
    this.#runners.get(functionId)?.join(load);
  }

  /** The worker has one call less of this version. */
  ended(workerId: string, functionId: string): void {
    const load = this.#loads.get(workerId);
    const before = load?.of.get(functionId);
    if (load === undefined || before === undefined) return;
    load.total--;
    if (before > 1) {
      load.of.set(functionId, before - 1);
      return;
    }
    load.of.delete(functionId);
    this.#leave(load, functionId);
  }

  /** A worker all of whose mini-workers are busy, and which runs more calls of this version than it has ahead. */
  workerFor(functionId: string): string | undefined {
    const runners = this.#runners.get(functionId);
    if (runners === undefined) return undefined;
    for (let probes = Math.min(PROBES, runners.size); probes > 0; probes--) {
      const load = runners.next();
      if (load === undefined) return undefined;
      const ahead = load.total - load.slots;
      if (ahead >= 0 && 2 * ahead < (load.of.get(functionId) ?? 0)) return load.workerId;
    }
    return undefined;
  }

  #leave(load: Load, functionId: string): void {
    const runners = this.#runners.get(functionId);
    runners?.leave(load);
    if (runners?.size === 0) this.#runners.delete(functionId);
  }
}
