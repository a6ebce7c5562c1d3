interface Entry<T> {
  at: number;
  /** None where it was cancelled. */
  item: T | undefined;
}

/** Cancelled entries that may stay in the heap, whatever share of it they are. */
const FEW = 64;

/** Timer heap: calls back once for each item at its time, with one timer for all. A binary heap: O(log n) a step. */
export class TimerHeap<T extends object> {
  readonly #onDue: (item: T) => void;
  #heap: Entry<T>[] = [];
  readonly #entries = new Map<T, Entry<T>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(onDue: (item: T) => void) {
    this.#onDue = onDue;
  }

  /** Calls back for `item` in `ms` milliseconds; an earlier time of the same item is cancelled. */
  set(item: T, ms: number): void {
    this.cancel(item);
    const entry = { at: performance.now() + ms, item };
    this.#entries.set(item, entry);
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    if (this.#heap[0] === entry) this.#arm();
  }

  /** Does not call back for `item`, and lets go of it. */
  cancel(item: T): void {
    const entry = this.#entries.get(item);
    if (entry === undefined) return;
    entry.item = undefined;
    this.#entries.delete(item);
    if (this.#heap.length < FEW + 2 * this.#entries.size) return;
    // What is sorted is a heap.
    this.#heap = [...this.#entries.values()].sort((a, b) => a.at - b.at);
  }

  /** Entries that it has in memory. */
  get size(): number {
    return this.#heap.length;
  }

  /** Calls back no more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#heap = [];
    this.#entries.clear();
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
      if (first.item === undefined) continue;
      this.#entries.delete(first.item);
      this.#onDue(first.item);
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
