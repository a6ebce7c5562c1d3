/** A binary heap from which any item can be taken out. Every step is O(log n), to look at the first is O(1). */
export class Heap<T> {
  readonly #precedes: (a: T, b: T) => boolean;
  readonly #items: T[] = [];
  readonly #places = new Map<T, number>();

  /** @param precedes whether `a` stands before `b` */
  constructor(precedes: (a: T, b: T) => boolean) {
    this.#precedes = precedes;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  has(item: T): boolean {
    return this.#places.has(item);
  }

  /** Adds the item, or moves it to where it belongs after its rank has changed. */
  put(item: T): void {
    const at = this.#places.get(item) ?? this.#items.length;
    this.#set(at, item);
    this.#sink(this.#rise(at));
  }

  delete(item: T): void {
    const at = this.#places.get(item);
    if (at === undefined) return;
    const last = this.#items.pop();
    this.#places.delete(item);
    if (last === undefined || last === item) return;
    this.#set(at, last);
    this.#sink(this.#rise(at));
  }

  /** Where the item at `from` stands afterwards. */
  #rise(from: number): number {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIf(at, parent)) break;
      at = parent;
    }
    return at;
  }

  #sink(from: number): void {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const [a, b] = [this.#items[left], this.#items[left + 1]];
      const child = a !== undefined && b !== undefined && this.#precedes(b, a) ? left + 1 : left;
      if (!this.#swapIf(child, at)) return;
      at = child;
    }
  }

  /** Swaps the two if the one at `lower` belongs above the one at `upper`. */
  #swapIf(lower: number, upper: number): boolean {
    const [a, b] = [this.#items[lower], this.#items[upper]];
    if (a === undefined || b === undefined || !this.#precedes(a, b)) return false;
    this.#set(upper, a);
    this.#set(lower, b);
    return true;
  }

  #set(at: number, item: T): void {
    this.#items[at] = item;
    this.#places.set(item, at);
  }
}
