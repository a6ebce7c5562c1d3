import { bytes } from './output.js';
import type { Shell } from './shell.js';

const BAR = 24;
/** Between two pictures, in ms. */
const FRAME_MS = 50;

/** Shows on a terminal how far something has come, in one line that is wiped at the end. */
export class Progress {
  readonly #stderr: Shell['stderr'];
  readonly #title: string;
  readonly #total: number;
  #done = 0;
  #drawnAt = -Infinity;

  /** @param total in bytes */
  constructor(stderr: Shell['stderr'], title: string, total: number) {
    this.#stderr = stderr;
    this.#title = title;
    this.#total = total;
  }

  /** Passes a stream on, and counts it. */
  async *count(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of stream) {
      yield chunk;
      this.#done += chunk.byteLength;
      this.#draw();
    }
  }

  /** Wipes the line. */
  end(): void {
    if (this.#drawnAt > 0) this.#stderr.write('\r\u001b[K');
  }

  #draw(): void {
    const now = performance.now();
    if (now - this.#drawnAt < FRAME_MS && this.#done < this.#total) return;
    this.#drawnAt = now;
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const bar = '#'.repeat(Math.round(share * BAR)).padEnd(BAR, '-');
    const percent = `${Math.floor(100 * share)}%`.padStart(4);
    this.#stderr.write(`\r${this.#title} [${bar}] ${percent} of ${bytes(this.#total)}\u001b[K`);
  }
}

/** Between two pictures of a ticker, in ms. */
const TICK_MS = 250;

/** Shows on a terminal, again and again, how things stand, in one line that is wiped at the end. */
export class Ticker {
  readonly #stderr: Shell['stderr'];
  readonly #timer: NodeJS.Timeout;

  /** @param text what to show, so many ms after the start */
  constructor(stderr: Shell['stderr'], text: (ms: number) => string) {
    this.#stderr = stderr;
    const since = performance.now();
    this.#timer = setInterval(() => stderr.write(`\r${text(performance.now() - since)}\u001b[K`), TICK_MS);
  }

  /** Wipes the line. May be called twice. */
  end(): void {
    clearInterval(this.#timer);
    this.#stderr.write('\r\u001b[K');
  }
}
