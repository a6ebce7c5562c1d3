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
 * function then begins as soon as the one before it ends, and not a way to the broker and back later; and what there is
 * to say of several travels as one message, which wakes fewer threads.
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

  /** A worker all of whose mini-workers are busy, and which has fewer than `each` calls ahead for each that it runs of this version. */
  workerFor(functionId: string, each: number): string | undefined {
    const runners = this.#runners.get(functionId);
    if (runners === undefined) return undefined;
    for (let probes = Math.min(PROBES, runners.size); probes > 0; probes--) {
      const load = runners.next();
      if (load === undefined) return undefined;
      const ahead = load.total - load.slots;
      const running = (load.of.get(functionId) ?? 0) - ahead;
      if (ahead >= 0 && ahead < each * running) return load.workerId;
    }
    return undefined;
  }

  #leave(load: Load, functionId: string): void {
    const runners = this.#runners.get(functionId);
    runners?.leave(load);
    if (runners?.size === 0) this.#runners.delete(functionId);
  }
}
