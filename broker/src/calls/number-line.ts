/** Removed numbers that may stay in the array, whatever share of it they are. */
const FEW = 64;

/**
 * A set of whole numbers that is read from the largest down. To add the largest yet, and to remove any, is O(1)
 * amortised; to add one in between is O(n), for calls that are put back.
 */
export class NumberLine {
  readonly #present = new Set<number>();
  /** Ascending; with numbers that were removed. */
  #sorted: number[] = [];

  get size(): number {
    return this.#present.size;
  }

  add(number: number): void {
    if (this.#present.has(number)) return;
    this.#present.add(number);
    if (number > (this.#sorted.at(-1) ?? -1)) {
      this.#sorted.push(number);
      return;
    }
    const at = this.#firstFrom(number);
    if (this.#sorted[at] !== number) this.#sorted.splice(at, 0, number);
  }

  delete(number: number): void {
    if (!this.#present.delete(number)) return;
    if (this.#sorted.length < FEW + 2 * this.#present.size) return;
    this.#sorted = this.#sorted.filter((each) => this.#present.has(each));
  }

  /** From the largest down, only those below `before`. */
  *newest(before = Infinity): Generator<number, void, undefined> {
    const sorted = this.#sorted;
    for (let at = this.#firstFrom(before) - 1; at >= 0; at--) {
      const number = sorted[at];
      if (number !== undefined && this.#present.has(number)) yield number;
    }
  }

  /** Where the first number stands that is not below `number`. */
  #firstFrom(number: number): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? Infinity) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
