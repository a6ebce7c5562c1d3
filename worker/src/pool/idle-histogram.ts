const BINS = 48;
const MINUTE_MS = 60_000;
/** Up to here a bin is a minute wide; from here on each doubling of the time has 8 bins. */
const LINEAR_MINUTES = 16;
const BINS_A_DOUBLING = 8;
/** Idle times from here on are counted, but in no bin: 256 minutes, somewhat over the paper's 4 hours. */
const RANGE_MINUTES = 256;
const MAX_COUNT = 0xffff;

/**
 * How long a function stays idle between calls, as the paper's histogram of one-minute bins over 4 hours
 * ("Serverless in the Wild", ATC 2020, section 4.2), in 96 bytes: bins of a minute where minutes matter, and from 16
 * minutes on of an eighth of the time (as HdrHistogram has them). When a bin is full all counts are halved, so that
 * the old weighs less than the new.
 */
export class IdleHistogram {
  readonly #counts = new Uint16Array(BINS);
  #inRange = 0;
  #outOfRange = 0;

  /** @param ms idle time, from 0. */
  record(ms: number): void {
    const minutes = ms / MINUTE_MS;
    if (minutes >= RANGE_MINUTES) {
      this.#outOfRange++;
      if (this.#outOfRange === MAX_COUNT) this.#halve();
      return;
    }
    const bin = binOf(minutes);
    const count = (this.#counts[bin] ?? 0) + 1;
    this.#counts[bin] = count;
    this.#inRange++;
    if (count === MAX_COUNT) this.#halve();
  }

  get samples(): number {
    return this.#inRange + this.#outOfRange;
  }

  /** Share of idle times beyond the range, 0 to 1. */
  get outOfRange(): number {
    return this.samples === 0 ? 0 : this.#outOfRange / this.samples;
  }

  /**
   * Milliseconds between which the given shares of the idle times in range lie: from the lower edge of the bin of
   * the `head` share to the upper edge of that of the `tail` share.
   */
  span(head: number, tail: number): { from: number; to: number } {
    return {
      from: lowerEdge(this.#binAt(head)) * MINUTE_MS,
      to: lowerEdge(this.#binAt(tail) + 1) * MINUTE_MS,
    };
  }

  /**
   * Coefficient of variation of the counts of one-minute bins, a wide bin counting as many even ones: high where
   * idle times crowd in a few places, so that the histogram tells something; 0 where they are spread evenly.
   */
  get variation(): number {
    if (this.#inRange === 0) return 0;
    const mean = this.#inRange / RANGE_MINUTES;
    let squares = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const count = this.#counts[bin] ?? 0;
      squares += count ** 2 / (lowerEdge(bin + 1) - lowerEdge(bin));
    }
    return Math.sqrt(Math.max(0, squares / RANGE_MINUTES - mean ** 2)) / mean;
  }

  #binAt(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#inRange));
    let seen = 0;
    for (let bin = 0; bin < BINS; bin++) {
      seen += this.#counts[bin] ?? 0;
      if (seen >= rank) return bin;
    }
    return BINS - 1;
  }

  #halve(): void {
    this.#inRange = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const count = (this.#counts[bin] ?? 0) >> 1;
      this.#counts[bin] = count;
      this.#inRange += count;
    }
    this.#outOfRange >>= 1;
  }
}

function binOf(minutes: number): number {
  if (minutes < LINEAR_MINUTES) return Math.floor(minutes);
  const doubling = Math.floor(Math.log2(minutes / LINEAR_MINUTES));
  const start = LINEAR_MINUTES * 2 ** doubling;
  return (
    LINEAR_MINUTES + doubling * BINS_A_DOUBLING + Math.floor(((minutes - start) / start) * BINS_A_DOUBLING)
  );
}

/** In minutes. */
function lowerEdge(bin: number): number {
  if (bin < LINEAR_MINUTES) return bin;
  const doubling = Math.floor((bin - LINEAR_MINUTES) / BINS_A_DOUBLING);
  const step = (bin - LINEAR_MINUTES) % BINS_A_DOUBLING;
  return LINEAR_MINUTES * 2 ** doubling * (1 + step / BINS_A_DOUBLING);
}
