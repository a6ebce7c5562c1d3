import { PanalError } from '@panal/protocol';
import { Tally } from '../../calls/tally.js';

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 2;

/** Bounds how many requests of a kind are under way at once, in all and of one owner. */
export class OwnerPlaces {
  readonly #most: number;
  readonly #why: string;
  readonly #ownerMost: () => number;
  readonly #owners = new Tally();
  #all = 0;

  /**
   * @param why a request finds no place, for its client
   * @param ownerMost places of one owner, now; half of all by default
   */
  constructor(most: number, why: string, ownerMost = (): number => most / 2) {
    this.#most = most;
    this.#why = why;
    this.#ownerMost = ownerMost;
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#all;
  }

  /**
   * Takes a place.
   * @returns what leaves it; further calls do nothing
   * @throws PanalError QUEUE_FULL if all are taken, or the owner has its share
   */
  enter(owner: string): () => void {
    if (this.#all >= this.#most || this.#owners.of(owner) >= Math.ceil(this.#ownerMost()))
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
