import type { CallRecord } from './records.js';

/**
 * How long the acceptance of a call may wait to be written, in ms: longer than a short function and its turn in a busy
 * queue take, so that such a call costs one write and not two.
 */
const DEFER_MS = 100;

interface Deferred {
  readonly call: CallRecord;
  readonly resolve: (written: Promise<void>) => void;
}

/**
 * Accepted calls that nobody needs on disk yet. A call that ends within a moment is written once, as it ended, instead
 * of twice; the others are written together.
 */
export class DeferredCalls {
  readonly #write: (calls: CallRecord[]) => Promise<void>;
  #calls = new Map<number, Deferred>();
  #timer: NodeJS.Timeout | undefined;

  /** @param write stores calls as they are then, all or none. */
  constructor(write: (calls: CallRecord[]) => Promise<void>) {
    this.#write = write;
  }

  /** Resolves once the call is stored, as it was accepted or as what it became; rejects as that write does. */
  async add(call: CallRecord): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#calls.set(call.callNum, { call, resolve });
      this.#timer ??= setTimeout(() => this.flush(), DEFER_MS);
    });
  }

  /** Whether nothing of the call was written yet. */
  has(callNum: number): boolean {
    return this.#calls.has(callNum);
  }

  /** All there is of the call is being `written` in its stead. */
  supersede(callNum: number, written: Promise<void>): void {
    const deferred = this.#calls.get(callNum);
    if (deferred === undefined) return;
    this.#calls.delete(callNum);
    deferred.resolve(written);
  }

  /** Writes what waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#calls.size === 0) return;
    const calls = [...this.#calls.values()];
    this.#calls = new Map();
    const written = this.#write(calls.map(({ call }) => call));
    for (const { resolve } of calls) resolve(written);
  }
}
