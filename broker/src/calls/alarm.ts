interface Entry<T> {
  at: number;
  item: T;
}

/** Rings for each item at its time, with one timer for all of them. A binary heap: O(log n) a step. */
export class Alarm<T> {
  readonly #ring: (item: T) => void;
  readonly #heap: Entry<T>[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(ring: (item: T) => void) {
    this.#ring = ring;
  }

  /** Rings for `item` in `ms` milliseconds. */
  set(item: T, ms: number): void {
    const at = performance.now() + ms;
    this.#heap.push({ at, item });
    this.#rise(this.#heap.length - 1);
    if (this.#heap[0]?.item === item) this.#arm();
  }

  /** Rings no more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#heap.length = 0;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const first = this.#heap[0];
    if (first === undefined) return;
    // A Node.js timer holds at most 2^31-1 ms.
    const wait = Math.min(Math.max(0, Math.ceil(first.at - performance.now())), 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.#fire(), wait);
  }

  #fire(): void {
    const now = performance.now();
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#removeFirst();
      this.#ring(first.item);
    }
    this.#arm();
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#at(parent) <= this.#at(index)) return;
      this.#swap(parent, index);
      index = parent;
    }
  }

  #sink(): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const child = this.#at(left + 1) < this.#at(left) ? left + 1 : left;
      if (this.#at(index) <= this.#at(child)) return;
      this.#swap(index, child);
      index = child;
    }
  }

  #at(index: number): number {
    return this.#heap[index]?.at ?? Infinity;
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (first === undefined || second === undefined) return;
    this.#heap[a] = second;
    this.#heap[b] = first;
  }
}
