import type { WriteBatch } from './database.js';

/** Who counts commits. Its methods are quick, and do not throw. */
export interface CommitObserver {
  /** @param writes how many keys were written, or removed; @param ms how long that took. */
  committed(writes: number, ms: number, sync: boolean): void;
  /** The medium could not write. */
  failed(): void;
}

/** `write`, watched by `observer`. */
export function observed(write: WriteBatch, observer: CommitObserver | undefined): WriteBatch {
  if (observer === undefined) return write;
  return async (writes, sync) => {
    const began = performance.now();
    try {
      await write(writes, sync);
    } catch (error) {
      observer.failed();
      throw error;
    }
    observer.committed(writes.size, performance.now() - began, sync);
  };
}
