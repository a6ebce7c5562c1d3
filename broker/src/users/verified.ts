import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** How long credentials that were found right need not be looked at again, in ms. */
const KEPT_MS = 60_000;
const CAPACITY = 10_000;

/** Whose credentials they were, and by what they were right. */
export interface Verified {
  name: string;
  /** Of the user that had this name then. */
  id: string;
  /** The hash of the password, or the id of the token, that the user had then: no longer right once that changed. */
  proof: string;
}

interface Entry extends Verified {
  until: number;
}

/**
 * Credentials that were found right a moment ago, so that the next request with them costs microseconds. What is kept
 * of them is an HMAC under a key that this process made and nobody else has.
 */
export class VerifiedCredentials {
  readonly #key = randomBytes(32);
  readonly #entries = new LRUCache<string, Entry>({ max: CAPACITY });
  readonly #underWay = new Map<string, Promise<Verified>>();
  readonly #now: () => number;

  /** @param now epoch ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Whose credentials these are. `verify` finds out where that is not known; those who ask meanwhile wait for its
   * answer. What it throws is not kept.
   * @param parts the credentials: texts of which only the last may contain NUL.
   * @param until epoch ms from which on they no longer hold.
   */
  async whose(
    parts: readonly string[],
    verify: () => Promise<{ verified: Verified; until?: number }>,
  ): Promise<Verified> {
    const key = this.#keyOf(parts);
    const known = this.#entries.get(key);
    if (known !== undefined && this.#now() < known.until) return known;
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return await underWay;
    const verifying = this.#verify(key, verify);
    this.#underWay.set(key, verifying);
    try {
      return await verifying;
    } finally {
      this.#underWay.delete(key);
    }
  }

  forget(parts: readonly string[]): void {
    this.#entries.delete(this.#keyOf(parts));
  }

  #keyOf(parts: readonly string[]): string {
    return createHmac('sha256', this.#key).update(parts.join('\0')).digest('base64');
  }

  async #verify(
    key: string,
    verify: () => Promise<{ verified: Verified; until?: number }>,
  ): Promise<Verified> {
    this.#entries.delete(key);
    const { verified, until = Infinity } = await verify();
    this.#entries.set(key, { ...verified, until: Math.min(until, this.#now() + KEPT_MS) });
    return verified;
  }
}
