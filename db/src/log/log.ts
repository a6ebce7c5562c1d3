import type { Range } from '../keys.js';
import type { Addition } from '../sums.js';

/** A key gets a new value, is removed, or holds a sum that grows by an addition. */
export type Write = readonly [key: string, value: Uint8Array | Addition | undefined];

/** Numbers from a counter: a key whose value is the last number that was taken, JSON; 0 if there is none. */
export interface Take {
  counter: string;
  /** How many; fewer than 0 gives numbers back. */
  count: number;
  /** Only if the counter is here. */
  at?: number;
}

/**
 * What is written together, or not at all. Conditions are checked when the transaction is applied, against what is stored
 * and what was appended before it.
 */
export interface Transaction {
  writes: Iterable<Write>;
  /** Keys that must not exist, or nothing is written. */
  none?: Range;
  take?: Take;
  /** The call whose end is written. */
  ended?: number | undefined;
}

/** What became of a transaction. */
export interface Applied {
  /** `false` if a condition did not hold: nothing was written. */
  applied: boolean;
  /** The last number that was taken. */
  through?: number;
}

/**
 * What survives a power cut. `fsync`: what was accepted, before its client hears of it, and how a call ended within
 * 100 ms. `strict`: that before anybody hears of it, too. `os`: what the operating system has written by then. In each
 * of them all survives the death of the process.
 */
export type Durability = 'fsync' | 'strict' | 'os';

/**
 * Where a write has to be when its promise resolves. `accepted`: on disk, but with `os`. `ended`: on disk with `strict`.
 * `later`: with the operating system. `always`: on disk, whatever the durability.
 */
export type WriteKind = 'accepted' | 'ended' | 'later' | 'always';

/** The write-ahead log of a store: all that is written goes through it, in one order. */
export interface Log {
  /**
   * Resolves once the transaction is applied, and is as durable as `kind` says.
   * @throws PanalError STORE_UNAVAILABLE: nothing was written
   */
  append(transaction: Transaction, kind: WriteKind): Promise<Applied>;
  /** Resolves once it is on disk how these calls ended, if the durability asks for it. */
  ended(callNums: readonly number[]): Promise<void>;
  /** Waits for the appends under way. */
  close(): Promise<void>;
}

/** What conditions are checked against. */
export interface View {
  keys(range: Range, limit: number): Promise<string[]>;
  get(key: string): Promise<Uint8Array | undefined>;
}
