import type { Shelf } from './shelf.js';

/** What idle sandboxes may take together; a sandbox counts the memory that its function is entitled to. */
export interface Budget {
  sandboxes: number;
  memoryMb: number;
}

/**
 * Keeps idle sandboxes within a budget by greedy-dual (FaasCache, ASPLOS 2021): the clock plus frequency × start cost
 * / memory is a sandbox's priority, the lowest goes first, and the clock rises to it, so that what was not used for
 * long falls behind what is used now.
 */
export class GreedyDual {
  readonly #budget: Budget;
  #sandboxes = 0;
  #memoryMb = 0;
  #clock = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** What a sandbox that comes to stand idle is stamped with. */
  get clock(): number {
    return this.#clock;
  }

  /** Sandboxes that count. */
  get sandboxes(): number {
    return this.#sandboxes;
  }

  add(memoryMb: number): void {
    this.#sandboxes++;
    this.#memoryMb += memoryMb;
  }

  remove(memoryMb: number): void {
    this.#sandboxes--;
    this.#memoryMb -= memoryMb;
  }

  /** Whether something has to go. */
  get isOver(): boolean {
    return this.#sandboxes > this.#budget.sandboxes || this.#memoryMb > this.#budget.memoryMb;
  }

  /** The shelf whose oldest sandbox has to go; `undefined` while all is within the budget. */
  victim(shelves: Iterable<Shelf>): Shelf | undefined {
    if (!this.isOver) return undefined;
    let victim: Shelf | undefined;
    for (const shelf of shelves) {
      if ((shelf.priority ?? Infinity) < (victim?.priority ?? Infinity)) victim = shelf;
    }
    this.#clock = Math.max(this.#clock, victim?.priority ?? 0);
    return victim;
  }

  /**
   * Memory in MiB that one more sandbox may take, counting those that are being started ahead of calls.
   * @param blanks memory of those among them that are no function's
   */
  room(shelves: Iterable<Shelf>, blanks: readonly number[]): number {
    let [sandboxes, memoryMb] = [this.#sandboxes + blanks.length, this.#memoryMb];
    for (const each of blanks) memoryMb += each;
    for (const { startingAhead, spec } of shelves) {
      sandboxes += startingAhead;
      memoryMb += startingAhead * spec.settings.memoryMb;
    }
    return sandboxes < this.#budget.sandboxes ? this.#budget.memoryMb - memoryMb : 0;
  }
}
