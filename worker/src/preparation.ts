import type { FunctionSpec } from '@panal/protocol';
import type { Prepared } from './sandbox/sandbox.js';
import { unlessAborted } from './waiting.js';

interface Entry {
  readonly result: Promise<Prepared>;
  /** Resolves when the work has ended, however it ended. */
  readonly ended: Promise<void>;
  readonly abort: AbortController;
  waiting: number;
  done: boolean;
}

/** Prepares each function once, however many calls ask for it at the same moment, and keeps what was made. */
export class Preparation {
  readonly #prepare: (spec: FunctionSpec, signal: AbortSignal) => Promise<Prepared>;
  readonly #entries = new Map<string, Entry>();

  constructor(prepare: (spec: FunctionSpec, signal: AbortSignal) => Promise<Prepared>) {
    this.#prepare = prepare;
  }

  /**
   * What the function's sandboxes start from. The work is given up once all who wait for it have aborted.
   * @throws what preparing threw, or the reason of `signal`.
   */
  async of(spec: FunctionSpec, signal: AbortSignal): Promise<Prepared> {
    for (;;) {
      const entry = this.#entries.get(spec.id) ?? this.#begin(spec);
      if (entry.done) return await entry.result;
      if (!entry.abort.signal.aborted) return await this.#join(entry, signal);
      // Everyone left, and the work is on its way out: it must not run twice at a time.
      await unlessAborted(entry.ended, signal);
    }
  }

  /** Prepares anew at the next call: the function is gone, or a sandbox would not start from what was made. */
  forget(functionId: string): void {
    if (this.#entries.get(functionId)?.done === true) this.#entries.delete(functionId);
  }

  /** Forgets every function. */
  clear(): void {
    for (const functionId of this.#entries.keys()) this.forget(functionId);
  }

  #begin(spec: FunctionSpec): Entry {
    const abort = new AbortController();
    const result = this.#prepare(spec, abort.signal);
    const entry: Entry = {
      result,
      abort,
      waiting: 0,
      done: false,
      ended: result.then(
        () => {
          entry.done = true;
          if (abort.signal.aborted) this.#entries.delete(spec.id);
        },
        () => {
          this.#entries.delete(spec.id);
        },
      ),
    };
    this.#entries.set(spec.id, entry);
    return entry;
  }

  async #join(entry: Entry, signal: AbortSignal): Promise<Prepared> {
    entry.waiting++;
    try {
      return await unlessAborted(entry.result, signal);
    } finally {
      entry.waiting--;
      if (entry.waiting === 0 && !entry.done) entry.abort.abort();
    }
  }
}
