/** Upper bounds of latencies, in seconds: from half a millisecond, past every phase of a call, to five minutes. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/**
 * How often a value fell below each of some bounds. A call passes several of these, so that noting a value is a few
 * comparisons and two additions: a histogram of prom-client hashes its labels each time, which takes a hundred times
 * as long.
 */
export class Histogram {
  readonly bounds: readonly number[];
  /** By bound; past the last bound in one more. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds ascending. */
  constructor(bounds: readonly number[] = LATENCY_BOUNDS) {
    this.bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > (this.bounds[at] ?? 0)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  get sum(): number {
    return this.#sum;
  }

  /** How many values were at most the bound at each index; in one more, how many there were. */
  cumulative(): number[] {
    let count = 0;
    return Array.from(this.#counts, (each) => (count += each));
  }
}
