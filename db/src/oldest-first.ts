interface Entry<T> {
  item: T;
  number: number;
}

/** A sorted list of items: the one with the smallest number is taken first. */
export class OldestFirst<T> {
  /** Largest first. */
  readonly #entries: Entry<T>[] = [];

  /** Adds an item, but not one without a number. */
  add(item: T, number: number | undefined): void {
    if (number === undefined) return;
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.number ?? 0) > number) low = middle + 1;
      else high = middle;
    }
    this.#entries.splice(low, 0, { item, number });
  }

  /** Takes the first item, with the number of the item after it. */
  take(): { item: T; before: number | undefined } | undefined {
    const next = this.#entries.pop();
    return next && { item: next.item, before: this.#entries.at(-1)?.number };
  }
}
