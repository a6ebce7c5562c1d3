import { type FunctionSpec } from '@panal/protocol';
import { unlessAborted } from '@panal/support';
import { Output } from '../contracts/output.js';
import type { OnOutput } from '../output/on-output.js';
import type { Prepared } from '../sandbox/sandbox.js';

type Prepare = (spec: FunctionSpec, signal: AbortSignal, onOutput: OnOutput) => Promise<Prepared>;

interface Entry {
  /** What it has put out so far, within the limit of logs. */
  readonly said: Uint8Array[];
  readonly listeners: Set<OnOutput>;
  readonly result: Promise<Prepared>;
  /** Resolves when the work has ended, however it ended. */
  readonly ended: Promise<void>;
  readonly abort: AbortController;
  waiting: number;
  done: boolean;
}

/** Prepares each function once, however many calls ask for it at the same moment, and keeps what was made. */
export class Preparation {
  readonly #prepare: Prepare;
  readonly #maxLogs: number;
  readonly #entries = new Map<string, Entry>();

  /** @param maxLogs bytes of output that are kept for those who join later */
  constructor(prepare: Prepare, maxLogs: number) {
    this.#prepare = prepare;
    this.#maxLogs = maxLogs;
  }

  /**
   * What the function's sandboxes start from. The work is given up once all who wait for it have aborted.
   * @param onOutput gets the work's output from its beginning
   * @throws what preparing threw, or the reason of `signal`.
   */
  async of(spec: FunctionSpec, signal: AbortSignal, onOutput?: OnOutput): Promise<Prepared> {
    for (;;) {
      const entry = this.#entries.get(spec.id) ?? this.#begin(spec);
      if (!entry.done && entry.abort.signal.aborted) {
        // Everyone left, and the work is on its way out: it must not run twice at a time.
        await unlessAborted(entry.ended, signal);
        continue;
      }
      const prepared = entry.done ? await entry.result : await this.#join(entry, signal, onOutput);
      if (isOf(prepared, spec)) return prepared;
      if (this.#entries.get(spec.id) === entry) this.#entries.delete(spec.id);
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
    const said: Uint8Array[] = [];
    const listeners = new Set<OnOutput>();
    const output = new Output({
      maxOutput: 0,
      maxLogs: this.#maxLogs,
      onLog: (piece) => {
        said.push(piece);
        for (const listener of listeners) listener(piece);
      },
    });
    const result = this.#prepare(spec, abort.signal, (piece) => output.addLogs(piece));
    const entry: Entry = {
      said,
      listeners,
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

  async #join(entry: Entry, signal: AbortSignal, onOutput: OnOutput | undefined): Promise<Prepared> {
    entry.waiting++;
    if (onOutput !== undefined) {
      for (const piece of entry.said) onOutput(piece);
      entry.listeners.add(onOutput);
    }
    try {
      return await unlessAborted(entry.result, signal);
    } finally {
      if (onOutput !== undefined) entry.listeners.delete(onOutput);
      entry.waiting--;
      if (entry.waiting === 0 && !entry.done) entry.abort.abort();
    }
  }
}

/** Whether it is of the image that the version is bound to by now: what the name stood for here may be another one. */
function isOf(prepared: Prepared, spec: FunctionSpec): boolean {
  const bound = spec.imageDigest;
  return bound === undefined || prepared.spec.imageDigest === bound;
}
