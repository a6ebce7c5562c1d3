import { PanalError } from '@panal/protocol';
import { TokenBuckets } from '@panal/support';
import { networkOf } from './network-of.js';

const HOUR_MS = 3_600_000;

/**
 * Holds back whoever registers users without end: so many an hour for each address (for IPv6, each /64). Every attempt
 * counts, for each may hash a password or tell that a name is taken.
 */
export class Registrations {
  readonly #addresses: TokenBuckets;

  /** @param now a clock that never goes back, in ms. */
  constructor(perHour: number, now: () => number = () => performance.now()) {
    this.#addresses = new TokenBuckets({ capacity: perHour, refillMs: HOUR_MS / perHour, now });
  }

  /** @throws PanalError TOO_MANY_ATTEMPTS */
  take(address: string): void {
    const network = networkOf(address);
    const waitMs = this.#addresses.waitMs(network);
    if (waitMs > 0) {
      const retryAfter = Math.ceil(waitMs / 1000);
      throw new PanalError(
        'TOO_MANY_ATTEMPTS',
        `too many registrations from your address (FAAS_REGISTRATIONS); try again in ${retryAfter} s`,
        { retryAfter },
      );
    }
    this.#addresses.take(network);
  }
}
