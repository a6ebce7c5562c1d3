import { KeyedLock } from '@panal/support';
import pLimit from 'p-limit';
import { Tally } from '../../calls/tally.js';

/** Answers that are made at once. More would not make them sooner: the broker has one thread. */
const AT_ONCE = 2;

/**
 * Makes large answers, a few at once and one of an owner at a time. However many clients ask for them, no more than
 * these are in memory before their clients can begin to take them.
 */
export class ReadingTurns {
  readonly #all = pLimit(AT_ONCE);
  readonly #inOrder = new KeyedLock();
  readonly #owners = new Tally();

  /** Whether a turn of the owner would begin at once. */
  isFree(owner: string): boolean {
    return this.#owners.of(owner) === 0 && this.#all.activeCount < AT_ONCE;
  }

  /** Runs `make` in a turn of the owner. */
  async run(owner: string, make: () => Promise<void>): Promise<void> {
    this.#owners.add(owner, 1);
    try {
      await this.#inOrder.run(owner, () => this.#all(make));
    } finally {
      this.#owners.add(owner, -1);
    }
  }
}
