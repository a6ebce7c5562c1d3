import { PanalError } from '@panal/protocol';
import { LruCache } from '../functions/lru-cache.js';
import { networkOf } from './network-of.js';

/** Addresses that are remembered: those that registered last. */
const REMEMBERED = 10_000;

const HOUR_MS = 3_600_000;

interface Bucket {
  left: number;
  /** Since when, on the clock. */
  since: number;
}

/**
 * Holds back whoever registers users without end: a token bucket for each address (for IPv6, each /64), full at the
 * beginning and filled again within an hour. Every attempt counts, for each may hash a password or tell that a name is
 * taken.
 */
export class Registrations {
  readonly #perHour: number;
  readonly #now: () => number;
  readonly #addresses = new LruCache<Bucket>(REMEMBERED);

  /** @param now a clock that never goes back, in ms. */
  constructor(perHour: number, now: () => number = () => performance.now()) {
    this.#perHour = perHour;
    this.#now = now;
  }

  /** @throws PanalError TOO_MANY_ATTEMPTS */
  take(address: string): void {
    const key = networkOf(address);
    const left = this.#left(this.#addresses.get(key));
    if (left < 1) {
      const retryAfter = Math.ceil(((1 - left) * HOUR_MS) / this.#perHour / 1000);
      throw new PanalError(
        'TOO_MANY_ATTEMPTS',
        `too many registrations from your address; try again in ${retryAfter} s`,
        { retryAfter },
      );
    }
    this.#addresses.set(key, { left: left - 1, since: this.#now() });
  }

  #left(bucket: Bucket | undefined): number {
    if (bucket === undefined) return this.#perHour;
    const filled = ((this.#now() - bucket.since) / HOUR_MS) * this.#perHour;
    return Math.min(this.#perHour, bucket.left + filled);
  }
}
