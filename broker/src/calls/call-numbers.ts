import type { CallNumBlock, CallStore } from '@panal/db';

/** Numbers reserved at once: a crash leaves out at most so many and half as many. */
const BLOCK = 1000;
/** With fewer left than this the next block is reserved, so that no call waits for it. */
const LOW = BLOCK / 2;

/**
 * Gives out call numbers, each once, whatever happens: a number is given out only if a block with it was reserved on
 * disk before. What a crash leaves of a block is never given out; what an orderly stop leaves is.
 */
export class CallNumbers {
  readonly #store: Pick<CallStore, 'takeCallNums' | 'giveBackCallNums'>;
  /** What is left of the blocks that are reserved, in order. Others may have taken the numbers between two of them. */
  #blocks: CallNumBlock[] = [];
  #left = 0;
  #reserving: Promise<void> | undefined;

  constructor(store: Pick<CallStore, 'takeCallNums' | 'giveBackCallNums'>) {
    this.#store = store;
  }

  /** Reserves the first block, so that the first call does not wait. If this fails, the call hears of it. */
  async open(): Promise<void> {
    await this.fill().catch(() => undefined);
  }

  /** Whether `take` has none to give. */
  get empty(): boolean {
    return this.#left === 0;
  }

  /** Resolves when more numbers are reserved; others may be quicker to take them. @throws PanalError STORE_UNAVAILABLE */
  async fill(): Promise<void> {
    this.#reserving ??= this.#reserve().finally(() => (this.#reserving = undefined));
    await this.#reserving;
  }

  /** The next number. There must be one. */
  take(): number {
    const [block] = this.#blocks;
    if (block === undefined) throw new RangeError('no call number is reserved');
    const callNum = ++block.after;
    this.#left--;
    if (block.after === block.through) this.#blocks.shift();
    // If this fails, the call that finds none left hears of it.
    if (this.#left < LOW) this.fill().catch(() => undefined);
    return callNum;
  }

  /** Gives back what was reserved and not taken, if the store can write; nothing may be taken afterwards. */
  async close(): Promise<void> {
    await this.#reserving?.catch(() => undefined);
    const blocks = this.#blocks;
    this.#blocks = [];
    this.#left = 0;
    // From the last one on, which was taken last. If this fails, the numbers are left out, as after a crash.
    for (const block of blocks.reverse()) await this.#store.giveBackCallNums(block).catch(() => undefined);
  }

  async #reserve(): Promise<void> {
    const through = await this.#store.takeCallNums(BLOCK);
    this.#blocks.push({ after: through - BLOCK, through });
    this.#left += BLOCK;
  }
}
