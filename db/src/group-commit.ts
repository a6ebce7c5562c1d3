import { setImmediate as turn } from 'node:timers/promises';
import { PanalError } from '@panal/protocol';
import { Addition, type AddingBatch } from './sums.js';

/** A key gets a new value, is removed, or holds a sum that grows by an addition. */
export type Write = readonly [key: string, value: Uint8Array | Addition | undefined];

/** Writes all of `writes` or none, and with `sync` not before they are on disk. */
export type WriteBatch = (
  writes: ReadonlyMap<string, Uint8Array | undefined>,
  sync: boolean,
) => Promise<void>;

/** Where a write has to be before it counts as stored: `sync` on disk, `os` with the operating system. */
export type Urgency = 'sync' | 'os';

/** A batch takes no further writer once it has so many writes, or bytes: it bounds how long others wait for it. */
const MAX_WRITES = 1024;
const MAX_BYTES = 1024 * 1024;

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 5;

/** Writes of one or more writers that share a commit. A later write of a key replaces an earlier one. */
class Batch {
  readonly writes = new Map<string, Uint8Array | undefined>();
  readonly additions = new Map<string, Addition>();
  readonly done: Promise<void>;
  resolve: () => void = () => undefined;
  reject: (error: PanalError) => void = () => undefined;
  sync = false;
  #bytes = 0;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  add(writes: Iterable<Write>, sync: boolean): void {
    for (const [key, value] of writes) {
      if (value instanceof Addition) {
        this.additions.set(key, this.additions.get(key)?.plus(value) ?? value);
        continue;
      }
      this.writes.set(key, value);
      this.additions.delete(key);
      this.#bytes += key.length + (value?.byteLength ?? 0);
    }
    this.sync ||= sync;
  }

  get full(): boolean {
    return this.writes.size >= MAX_WRITES || this.#bytes >= MAX_BYTES;
  }
}

/**
 * Lets writes that arrive together share one commit, for an fsync costs the same for one as for hundreds. Batches are
 * written one after the other, in the order of arrival; while one is being written, the next collects.
 */
export class GroupCommit {
  readonly #write: AddingBatch;
  /** Oldest first; only the last one collects. */
  readonly #waiting: Batch[] = [];
  #running: Promise<void> | undefined;

  constructor(write: AddingBatch) {
    this.#write = write;
  }

  /**
   * Resolves once `writes` are stored, all or none. A batch is synced when any of its writers asks for it; the others
   * ride along.
   * @throws PanalError `STORE_UNAVAILABLE` when the batch could not be written.
   */
  async commit(writes: Iterable<Write>, urgency: Urgency): Promise<void> {
    let batch = this.#waiting.at(-1);
    if (batch === undefined || batch.full) {
      batch = new Batch();
      this.#waiting.push(batch);
    }
    batch.add(writes, urgency === 'sync');
    this.#running ??= this.#run();
    await batch.done;
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
        await this.#write(batch.writes, batch.sync, batch.additions);
        batch.resolve();
      } catch (cause) {
        const options = { cause, retryAfter: RETRY_AFTER };
        batch.reject(new PanalError('STORE_UNAVAILABLE', 'the store cannot write', options));
      }
    }
    this.#running = undefined;
  }
}
