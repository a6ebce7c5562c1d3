import { PanalError } from '@panal/protocol';

/** Lets `width` pieces of work run at once, in the order in which they come, and `length` more wait. */
export class Lanes {
  readonly #length: number;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor({ width, length }: { width: number; length: number }) {
    this.#free = width;
    this.#length = length;
  }

  /** @throws PanalError TOO_MANY_ATTEMPTS when so many wait already; or what `work` throws. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn();
    try {
      return await work();
    } finally {
      // The place goes straight to the next in line, so that nobody can slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#waiting.length >= this.#length) {
      throw new PanalError('TOO_MANY_ATTEMPTS', 'too many log in or register right now', { retryAfter: 1 });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
