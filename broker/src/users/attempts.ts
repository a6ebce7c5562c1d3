import { PanalError } from '@panal/protocol';
import { LRUCache } from 'lru-cache';
import { TokenBuckets } from '@panal/support';
import { networkOf } from './network-of.js';

/** Failed logins in a row from one address; and so many more each minute. */
const FAILURES = 10;
/** Failed logins of one user from addresses at which it never logged in. One such address alone does not use them up. */
const STRANGERS = 30;
const MINUTE_MS = 60_000;

/** Pairs of a user and an address that are remembered: those at which somebody logged in last. */
const REMEMBERED = 10_000;

/** Of whom a login was tried, and from which address. The user is not known where its name cannot be one. */
export interface Attempt {
  user: string | undefined;
  address: string;
}

/**
 * Holds back those who guess passwords. Only failures are counted, by address (for IPv6, by /64, which one host may have
 * all of):
 *
 * - An address at which the user logged in before has failures of its own for that user. Others cannot use them up.
 * - Any other address shares its failures among all the users that it names.
 * - A user at which many such addresses guess allows each of them one failure a minute. So the right password is let in
 *   from an address that never failed, and many addresses guess no faster than one a minute each.
 */
export class Attempts {
  readonly #pairs: TokenBuckets;
  readonly #addresses: TokenBuckets;
  readonly #users: TokenBuckets;
  /** By pair; asked once a user has used up its own. */
  readonly #besieged: TokenBuckets;
  readonly #known = new LRUCache<string, object>({ max: REMEMBERED });

  /** @param now a clock that never goes back, in ms. */
  constructor(now: () => number = () => performance.now()) {
    const buckets = (capacity: number, perMinute: number): TokenBuckets =>
      new TokenBuckets({ capacity, refillMs: MINUTE_MS / perMinute, now });
    this.#pairs = buckets(FAILURES, FAILURES);
    this.#addresses = buckets(FAILURES, FAILURES);
    this.#users = buckets(STRANGERS, FAILURES);
    this.#besieged = buckets(1, 1);
  }

  /** @throws PanalError TOO_MANY_ATTEMPTS, whether or not the password is right and there is such a user. */
  check(attempt: Attempt): void {
    const waitMs = this.#waitMs(attempt);
    if (waitMs <= 0) return;
    const retryAfter = Math.ceil(waitMs / 1000);
    throw new PanalError('TOO_MANY_ATTEMPTS', `too many failed logins; try again in ${retryAfter} s`, {
      retryAfter,
    });
  }

  failed({ user, address }: Attempt): void {
    const network = networkOf(address);
    this.#addresses.take(network);
    if (user === undefined) return;
    const pair = pairOf(user, network);
    if (this.#known.get(pair) !== undefined) {
      this.#pairs.take(pair);
      return;
    }
    this.#users.take(user);
    this.#besieged.take(pair);
  }

  succeeded({ user, address }: Attempt): void {
    if (user !== undefined) this.#known.set(pairOf(user, networkOf(address)), {});
  }

  #waitMs({ user, address }: Attempt): number {
    const network = networkOf(address);
    if (user === undefined) return this.#addresses.waitMs(network);
    const pair = pairOf(user, network);
    if (this.#known.get(pair) !== undefined) return this.#pairs.waitMs(pair);
    const isBesieged = this.#users.waitMs(user) > 0;
    return Math.max(this.#addresses.waitMs(network), isBesieged ? this.#besieged.waitMs(pair) : 0);
  }
}

/** A user's name has no line ends. */
const pairOf = (user: string, network: string): string => `${user}\n${network}`;
