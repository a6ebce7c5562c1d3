import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { Vitals } from './target.js';

const RESOLUTION_MS = 10;

/** What is seen of this process, for what is fuzzed inside of it. */
export class OwnVitals {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#delay.enable();
  }

  take(): Vitals {
    const delayMs = this.#delay.count === 0 ? 0 : Math.max(0, this.#delay.max / 1e6 - RESOLUTION_MS);
    this.#delay.reset();
    return {
      rssMiB: process.memoryUsage.rss() / 2 ** 20,
      handles: readdirSync('/proc/self/fd').length,
      delayMs,
    };
  }

  close(): void {
    this.#delay.disable();
  }
}
