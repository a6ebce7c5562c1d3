import type { FunctionName } from './functions.js';

/** What a client was told of its request. */
export interface Entry {
  readonly token: string;
  readonly funcName: FunctionName;
  /** Whether it was sent with a key, again and again until it was answered. */
  readonly keyed: boolean;
  /** The call that it was told of. */
  callNum?: number;
  /** That its call was done, with this result. */
  result?: string;
  /** When a client without a key was told how its call ended, by the monotonic clock, in ms. */
  toldAt?: number;
  /** How long before a power cut that was, in ms, if so little that the answer may be lost with it. */
  unsafeMs?: number;
}

/**
 * Answers of so many ms before a power cut may be lost: ten times what is promised, for a busy machine is late itself.
 * The report says how old the oldest was.
 */
const UNSAFE_MS = 1000;

/** All that clients were told, and when service was last seen. */
export class Ledger {
  readonly entries: Entry[] = [];
  /** Sync calls that were answered with their result. */
  served = 0;
  /** Answers that were no result, by status or error. */
  readonly refusals = new Map<string, number>();
  #lastServed = performance.now();
  #longestGap = 0;

  open(token: string, funcName: FunctionName, keyed: boolean): Entry {
    const entry: Entry = { token, funcName, keyed };
    this.entries.push(entry);
    return entry;
  }

  sawService(): void {
    this.served++;
    const now = performance.now();
    this.#longestGap = Math.max(this.#longestGap, now - this.#lastServed);
    this.#lastServed = now;
  }

  refused(why: string): void {
    this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
  }

  /** The power was cut at this time: what was told just before may not be on disk. */
  powerCut(at: number): void {
    for (const entry of this.entries) {
      if (entry.toldAt === undefined || entry.unsafeMs !== undefined) continue;
      if (entry.toldAt > at - UNSAFE_MS) entry.unsafeMs = Math.max(0, at - entry.toldAt);
    }
  }

  /** Begins to look for gaps in service. */
  watchGaps(): void {
    this.#lastServed = performance.now();
    this.#longestGap = 0;
  }

  /** The longest time, in ms, between two results since it began to look. */
  get longestGap(): number {
    return this.#longestGap;
  }
}
