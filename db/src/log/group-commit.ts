import { setImmediate as turn } from 'node:timers/promises';
import { PanalError } from '@panal/protocol';
import { Addition, type AddingBatch } from '../sums.js';
import { Draft } from './draft.js';
import type { Applied, Transaction, View } from './log.js';

/** Where a write has to be before it counts as stored: `sync` on disk, `os` with the operating system. */
export type Urgency = 'sync' | 'os';

/** A batch takes no further writer once it has so many writes, or bytes: it bounds how long others wait for it. */
const MAX_WRITES = 1024;
const MAX_BYTES = 1024 * 1024;

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 5;

interface Entry {
  readonly transaction: Transaction;
  /** What became of it, once its batch is made. */
  applied: Applied | undefined;
  error: unknown;
}

/** Transactions of one or more writers that share a commit. */
class Batch {
  readonly entries: Entry[] = [];
  readonly done: Promise<void>;
  resolve: () => void = () => undefined;
  reject: (error: PanalError) => void = () => undefined;
  sync = false;
  #writes = 0;
  #bytes = 0;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  add(transaction: Transaction, sync: boolean): Entry {
    for (const [key, value] of transaction.writes) {
      this.#writes++;
      if (!(value instanceof Addition)) this.#bytes += key.length + (value?.byteLength ?? 0);
    }
    this.sync ||= sync;
    const entry: Entry = { transaction, applied: undefined, error: undefined };
    this.entries.push(entry);
    return entry;
  }

  get full(): boolean {
    return this.#writes >= MAX_WRITES || this.#bytes >= MAX_BYTES;
  }

  /** Applies the transactions in their order. One that cannot be applied fails alone. */
  async draft(view: View): Promise<Draft> {
    const draft = new Draft(view);
    for (const entry of this.entries) {
      const { transaction } = entry;
      if (transaction.none === undefined && transaction.take === undefined) {
        entry.applied = draft.write(transaction.writes);
        continue;
      }
      try {
        entry.applied = await draft.apply(transaction);
      } catch (error) {
        entry.error = error;
      }
    }
    return draft;
  }
}

/**
 * Lets transactions that arrive together share one commit, for an fsync costs the same for one as for hundreds. Batches
 * are written one after the other, in the order of arrival; while one is being written, the next collects.
 */
export class GroupCommit {
  readonly #write: AddingBatch;
  readonly #view: View;
  /** Oldest first; only the last one collects. */
  readonly #waiting: Batch[] = [];
  #running: Promise<void> | undefined;

  constructor(write: AddingBatch, view: View) {
    this.#write = write;
    this.#view = view;
  }

  /**
   * Resolves once the transaction is stored, or a condition of it did not hold. A batch is synced if any of its writers
   * asks for it; the others ride along.
   * @throws PanalError `STORE_UNAVAILABLE` if the batch could not be written.
   */
  async commit(transaction: Transaction, urgency: Urgency): Promise<Applied> {
    let batch = this.#waiting.at(-1);
    if (batch === undefined || batch.full) {
      batch = new Batch();
      this.#waiting.push(batch);
    }
    const entry = batch.add(transaction, urgency === 'sync');
    this.#running ??= this.#run();
    await batch.done;
    if (entry.applied === undefined) throw entry.error;
    return entry.applied;
  }

  /** Resolves when nothing is waiting or being written. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // What else arrives in this turn of the event loop, say from those whom the last batch held up, comes along.
      await turn();
      const batch = this.#waiting.shift();
      if (batch === undefined) break;
      try {
        const { writes, additions } = await batch.draft(this.#view);
        await this.#write(writes, batch.sync, additions);
        batch.resolve();
      } catch (cause) {
        const options = { cause, retryAfter: RETRY_AFTER };
        batch.reject(new PanalError('STORE_UNAVAILABLE', 'the store cannot write', options));
      }
    }
    this.#running = undefined;
  }
}
