/**
 * Things that take turns: each comes to the front once before any comes there twice. Every step is O(1). They may stand
 * in other lines too; what stands in one alone is faster in a `Ring`.
 *
 * One iterator is kept rather than made anew for each turn: a new one would walk over all that was removed in front
 * of it, which makes a Set a slow queue.
 */
export class Turns<T> {
  readonly #waiting = new Set<T>();
  #line = this.#waiting.values();

  get size(): number {
    return this.#waiting.size;
  }

  /** Queues up at the end, unless it is queued already. */
  join(item: T): void {
    this.#waiting.add(item);
  }

  leave(item: T): void {
    this.#waiting.delete(item);
  }

  /** Whose turn it is. It goes to the end of the line. */
  next(): T | undefined {
    if (this.#waiting.size === 0) return undefined;
    let first = this.#line.next();
    if (first.done === true) {
      this.#line = this.#waiting.values();
      first = this.#line.next();
    }
    if (first.done === true) return undefined;
    this.#waiting.delete(first.value);
    this.#waiting.add(first.value);
    return first.value;
  }
}
