import { z } from 'zod';
import type { WriteBatch } from './database.js';
import { encodeJson } from './record-codec.js';

/** How many calls, and how many bytes they take. */
export interface Sum {
  calls: number;
  bytes: number;
}

export const NO_SUM: Sum = { calls: 0, bytes: 0 };

export const sumSchema: z.ZodType<Sum> = z.object({ calls: z.int(), bytes: z.int() });

/**
 * A write that adds to the sum that its key has when the batch is written (a merge operator). So writers need no lock, and
 * one batch stores the sum with what it counts.
 */
export class Addition {
  readonly sum: Sum;

  constructor(sum: Sum) {
    this.sum = sum;
  }

  plus({ sum }: Addition): Addition {
    return new Addition(added(this.sum, sum));
  }
}

/** Writes a batch with its additions to sums. */
export type AddingBatch = (
  writes: Map<string, Uint8Array | undefined>,
  sync: boolean,
  additions: ReadonlyMap<string, Addition>,
) => Promise<void>;

/** Most sums that are cached. */
const MOST_KNOWN = 10_000;

/**
 * Turns additions into plain writes. One batch is written at a time. After a failure the sums are read again, because the
 * batch may have been written or not.
 * @param read reads the sum at a key
 */
export function adding(write: WriteBatch, read: (key: string) => Promise<Sum | undefined>): AddingBatch {
  const known = new Map<string, Sum>();
  const remember = (key: string, sum: Sum): void => {
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(key, sum);
  };
  return async (writes, sync, additions) => {
    const sums: [key: string, sum: Sum][] = [];
    for (const [key, { sum }] of additions) {
      // The batch that writes the key plainly removes the sum first.
      const before = writes.has(key) ? NO_SUM : (known.get(key) ?? (await read(key)) ?? NO_SUM);
      sums.push([key, added(before, sum)]);
    }
    for (const key of writes.keys()) known.delete(key);
    for (const [key, sum] of sums) writes.set(key, encodeJson(sum));
    try {
      await write(writes, sync);
    } catch (error) {
      known.clear();
      throw error;
    }
    for (const [key, sum] of sums) remember(key, sum);
  };
}

const added = (a: Sum, b: Sum): Sum => ({ calls: a.calls + b.calls, bytes: a.bytes + b.bytes });
