import type { Assignment } from './mini-worker.js';

/** Calls that the worker was given while all its mini-workers are busy, first come first served. */
export class Line {
  /** By lease. */
  readonly #waiting = new Map<string, Assignment>();

  get size(): number {
    return this.#waiting.size;
  }

  leases(): Iterable<string> {
    return this.#waiting.keys();
  }

  has(lease: string): boolean {
    return this.#waiting.has(lease);
  }

  join(call: Assignment): void {
    this.#waiting.set(call.lease, call);
  }

  /** Takes out the call that waits longest. */
  next(): Assignment | undefined {
    for (const lease of this.#waiting.keys()) return this.leave(lease);
    return undefined;
  }

  /** Takes out the call that waits longest, where it came at `since` or before. */
  nextSince(since: number): Assignment | undefined {
    const [first] = this.#waiting.values();
    return first === undefined || first.since > since ? undefined : this.next();
  }

  /** Takes out the call of this lease. */
  leave(lease: string): Assignment | undefined {
    const call = this.#waiting.get(lease);
    this.#waiting.delete(lease);
    return call;
  }

  /** Whether the logs of the call are to be reported once it runs; `false` if it does not wait here. */
  follow(lease: string, on: boolean): boolean {
    const call = this.#waiting.get(lease);
    if (call !== undefined) this.#waiting.set(lease, { ...call, followed: on });
    return call !== undefined;
  }
}
