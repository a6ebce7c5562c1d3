import type { Arbitrary } from 'fast-check';
import type { Recording } from './recording/record.js';

/** One input: bytes, or the frames of a message. */
export type Shot = readonly Uint8Array[];

/** What is watched of those who get the input. */
export interface Vitals {
  /** Resident memory, in MiB. */
  rssMiB: number;
  /** Open sockets, or other descriptors that input could leak. */
  handles: number;
  /** Longest delay of their event loop since it was last asked for, in ms. */
  delayMs: number;
}

/** Somebody who takes input from outside, up and serving. */
export interface Session {
  /** What is thrown at it. */
  readonly shots: Arbitrary<Shot>;
  /** Most shots that are thrown together. */
  readonly volley: number;
  /** Throws these at it. @throws Error where it does not take them as it should */
  feed(shots: readonly Shot[]): Promise<void>;
  /** @throws Error unless it is alive, has complained of nothing, and serves as at first */
  canary(): Promise<void>;
  vitals(): Promise<Vitals>;
  close(): Promise<void>;
}

export interface Surroundings {
  /** An empty folder of its own. */
  folder: string;
  /** What a real cluster said; it is asked the first time only. */
  recording: () => Promise<Recording>;
}

export interface Target {
  readonly name: string;
  /** Its share of all inputs, against those of the others. */
  readonly weight: number;
  /** Why this machine cannot have it; `undefined` where it can. */
  missing?(): string | undefined;
  open(surroundings: Surroundings): Promise<Session>;
}
