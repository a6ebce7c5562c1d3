import { LRUCache } from 'lru-cache';

/** Buckets that are remembered: those that were taken from last. */
const REMEMBERED = 10_000;

interface Bucket {
  left: number;
  /** Since when, on the clock. */
  since: number;
}

export interface TokenBucketsOptions {
  /** What a bucket holds when it is full, as it is at first. */
  capacity: number;
  /** How long it takes to refill by one, in ms. */
  refillMs: number;
  /** A clock that never goes back, in ms. */
  now: () => number;
}

/** Token buckets by key: each gives so many at once, and one more each time that `refillMs` went by. */
export class TokenBuckets {
  readonly #options: TokenBucketsOptions;
  readonly #buckets = new LRUCache<string, Bucket>({ max: REMEMBERED });

  constructor(options: TokenBucketsOptions) {
    this.#options = options;
  }

  /** In how many whole ms there is one to take; 0 if there is one now. */
  waitMs(key: string): number {
    return Math.max(0, Math.round((1 - this.#left(key)) * this.#options.refillMs));
  }

  take(key: string): void {
    this.#buckets.set(key, { left: Math.max(0, this.#left(key) - 1), since: this.#options.now() });
  }

  #left(key: string): number {
    const { capacity, refillMs, now } = this.#options;
    const bucket = this.#buckets.get(key);
    return bucket === undefined
      ? capacity
      : Math.min(capacity, bucket.left + (now() - bucket.since) / refillMs);
  }
}
