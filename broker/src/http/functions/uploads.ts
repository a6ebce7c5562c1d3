import { PanalError } from '@panal/protocol';
import { Tally } from '../../calls/tally.js';

/** The part of all uploads that one owner's may be. */
const OWNERS_SHARE = 1 / 2;

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 2;

/** Counts the uploads under way. */
export class Uploads {
  readonly #most: number;
  readonly #owners = new Tally();
  #all = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws PanalError QUEUE_FULL if there are too many, or too many of this owner */
  async run(owner: string, work: () => Promise<void>): Promise<void> {
    if (this.#all >= this.#most || this.#owners.of(owner) >= Math.ceil(OWNERS_SHARE * this.#most)) {
      const why = 'too many uploads are under way (FAAS_UPLOADS)';
      throw new PanalError('QUEUE_FULL', why, { retryAfter: RETRY_AFTER });
    }
    this.#count(owner, 1);
    try {
      await work();
    } finally {
      this.#count(owner, -1);
    }
  }

  #count(owner: string, change: 1 | -1): void {
    this.#all += change;
    this.#owners.add(owner, change);
  }
}
