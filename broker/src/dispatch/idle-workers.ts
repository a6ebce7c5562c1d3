import { Ring, type Linked } from './ring.js';

/** What the scheduler must know of a worker to place a call on it. */
export interface Seat<S> extends Linked<S> {
  readonly id: string;
  readonly hasEngine: boolean;
  /** Mini-workers that offered themselves, last in first out: the last one's memory is the warmest. */
  readonly idleSlots: number[];
}

/** Workers by how many idle mini-workers they have, so that the least loaded is found without a search. */
export class IdleWorkers<S extends Seat<S>> {
  /** At index n the workers with n idle mini-workers. */
  readonly #byIdle: Ring<S>[] = [];
  #most = 0;

  /** Notes a worker whose number of idle mini-workers was `before`. */
  moved(seat: S, before: number): void {
    this.#byIdle[before]?.leave(seat);
    const now = seat.idleSlots.length;
    if (now > 0) {
      while (this.#byIdle.length <= now) this.#byIdle.push(new Ring());
      this.#byIdle[now]?.join(seat);
      this.#most = Math.max(this.#most, now);
    }
    while (this.#most > 0 && this.#byIdle[this.#most]?.size === 0) this.#most--;
  }

  /** A worker with the most idle mini-workers; `undefined` when all are busy. */
  leastLoaded(): S | undefined {
    return this.#byIdle[this.#most]?.next();
  }

  /** How many idle mini-workers the least loaded worker has. */
  get mostIdle(): number {
    return this.#most;
  }
}
