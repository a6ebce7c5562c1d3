import type { CallStore } from '@panal/db';

/** Numbers reserved at once: a crash leaves out at most so many and half as many. */
const BLOCK = 1000;
/** With fewer left than this the next block is reserved, so that no call waits for it. */
const LOW = BLOCK / 2;

/**
 * Gives out call numbers, each once, whatever happens: a number is given out only if a block with it was reserved on
 * disk before. What a crash leaves of a block is never given out; what an orderly stop leaves is.
 */
export class CallNumbers {
  readonly #store: Pick<CallStore, 'lastCallNum' | 'reserveCallNums'>;
  #last = 0;
  #reserved = 0;
  #reserving: Promise<void> | undefined;

  constructor(store: Pick<CallStore, 'lastCallNum' | 'reserveCallNums'>) {
    this.#store = store;
  }

  /** Begins after all numbers that an earlier run may have given out. */
  async open(): Promise<void> {
    this.#last = this.#reserved = await this.#store.lastCallNum();
    // So that the first call does not wait. If this fails, the call hears of it.
    await this.fill().catch(() => undefined);
  }

  /** Whether `take` has none to give. */
  get empty(): boolean {
    return this.#last >= this.#reserved;
  }

  /** Resolves when more numbers are reserved; others may be quicker to take them. @throws PanalError STORE_UNAVAILABLE */
  async fill(): Promise<void> {
    this.#reserving ??= this.#reserve().finally(() => (this.#reserving = undefined));
    await this.#reserving;
  }

  /** The next number. There must be one. */
  take(): number {
    if (this.empty) throw new RangeError('no call number is reserved');
    const callNum = ++this.#last;
    // If this fails, the call that finds none left hears of it.
    if (this.#reserved - this.#last < LOW) this.fill().catch(() => undefined);
    return callNum;
  }

  /** Gives back what was reserved and not taken, if the store can write; nothing may be taken afterwards. */
  async close(): Promise<void> {
    await this.#reserving?.catch(() => undefined);
    if (this.empty) return;
    this.#reserved = this.#last;
    // If this fails, the numbers are left out, as after a crash.
    await this.#store.reserveCallNums(this.#last).catch(() => undefined);
  }

  async #reserve(): Promise<void> {
    const through = this.#reserved + BLOCK;
    await this.#store.reserveCallNums(through);
    this.#reserved = through;
  }
}
