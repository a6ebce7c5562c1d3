import { PanalError } from '@panal/protocol';
import { Tally } from '../../calls/tally.js';

/** The part of all places that one owner may have. */
const OWNERS_SHARE = 1 / 2;

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 2;

/** Bounds how many requests of a kind are under way at once, in all and of one owner. */
export class OwnerPlaces {
  readonly #most: number;
  readonly #why: string;
  readonly #owners = new Tally();
  #all = 0;

  /** @param why a request finds no place, for its client */
  constructor(most: number, why: string) {
    this.#most = most;
    this.#why = why;
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#all;
  }

  /**
   * Takes a place.
   * @returns what leaves it; further calls do nothing
   * @throws PanalError QUEUE_FULL if all are taken, or half of them by this owner
   */
  enter(owner: string): () => void {
    if (this.#all >= this.#most || this.#owners.of(owner) >= Math.ceil(OWNERS_SHARE * this.#most))
      throw new PanalError('QUEUE_FULL', this.#why, { retryAfter: RETRY_AFTER });
    this.#count(owner, 1);
    let inside = true;
    return () => {
      if (inside) this.#count(owner, -1);
      inside = false;
    };
  }

  #count(owner: string, change: 1 | -1): void {
    this.#all += change;
    this.#owners.add(owner, change);
  }
}
