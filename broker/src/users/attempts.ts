import { PanalError } from '@panal/protocol';
import { LruCache } from '../functions/lru-cache.js';
import { networkOf } from './network-of.js';

/** Failed logins in a row that a user, and an address, may have; and so many more each minute. */
const FAILURES = 10;
const REFILL_MS = 60_000 / FAILURES;

/** Users and addresses with failed logins that are remembered: those that failed last. */
const REMEMBERED = 10_000;

/** Of whom a login was tried, and from which address. The user is not known where its name cannot be one. */
export interface Attempt {
  user: string | undefined;
  address: string;
}

interface Bucket {
  /** Failures that are left. */
  left: number;
  /** Since when, on the clock. */
  since: number;
}

/**
 * Holds back those who guess passwords: a token bucket for each user and each address (for IPv6, each /64, which one
 * host may have all of). Only failures are counted.
 */
export class Attempts {
  readonly #now: () => number;
  readonly #users = new LruCache<Bucket>(REMEMBERED);
  readonly #addresses = new LruCache<Bucket>(REMEMBERED);

  /** @param now a clock that never goes back, in ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @throws PanalError TOO_MANY_ATTEMPTS, whether or not the password is right and there is such a user. */
  check(attempt: Attempt): void {
    const left = Math.min(...this.#buckets(attempt).map(([buckets, key]) => this.#left(buckets.get(key))));
    if (left >= 1) return;
    const retryAfter = Math.ceil(((1 - left) * REFILL_MS) / 1000);
    throw new PanalError('TOO_MANY_ATTEMPTS', `too many failed logins; try again in ${retryAfter} s`, {
      retryAfter,
    });
  }

  failed(attempt: Attempt): void {
    const since = this.#now();
    for (const [buckets, key] of this.#buckets(attempt)) {
      buckets.set(key, { left: Math.max(0, this.#left(buckets.get(key)) - 1), since });
    }
  }

  #buckets({ user, address }: Attempt): [LruCache<Bucket>, string][] {
    const byAddress: [LruCache<Bucket>, string] = [this.#addresses, networkOf(address)];
    return user === undefined ? [byAddress] : [byAddress, [this.#users, user]];
  }

  #left(bucket: Bucket | undefined): number {
    if (bucket === undefined) return FAILURES;
    return Math.min(FAILURES, bucket.left + (this.#now() - bucket.since) / REFILL_MS);
  }
}
