import type { Logger } from 'pino';

export interface PeriodicOptions {
  /** Stops early when the signal aborts. */
  work: (signal: AbortSignal) => Promise<void>;
  /** Between the end of one round and the next, in ms. */
  everyMs: number;
  /** What is logged where a round fails. */
  failure: string;
  log: Logger;
}

/** Does a piece of work now, and again and again. What a round leaves undone, or fails to do, is left to the next. */
export class Periodic {
  readonly #options: PeriodicOptions;
  readonly #stopping = new AbortController();
  #round: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PeriodicOptions) {
    this.#options = options;
  }

  /** Begins the first round. */
  start(): void {
    this.#round = this.#run();
  }

  /** Resolves when the round under way has stopped. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#round;
  }

  async #run(): Promise<void> {
    const { work, everyMs, failure, log } = this.#options;
    const { signal } = this.#stopping;
    try {
      await work(signal);
    } catch (error) {
      log.warn({ err: error }, failure);
    }
    if (!signal.aborted) this.#timer = setTimeout(() => this.start(), everyMs).unref();
  }
}
