/** What can stand in one `RoundRobin` at a time: it carries the links. */
export interface Linked<T> {
  before: T | undefined;
  after: T | undefined;
}

/**
 * Round-robin queue: each item comes to the front once before any comes there twice. It is a circular list with its
 * links in the items: each operation is O(1) and allocates nothing.
 */
export class RoundRobin<T extends Linked<T>> {
  #first: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The item that `next` gives. */
  get first(): T | undefined {
    return this.#first;
  }

  /** Adds the item at the end, unless it is in the queue. */
  join(item: T): void {
    if (item.after !== undefined) return;
    this.#size++;
    const first = (this.#first ??= item);
    const last = first.before ?? item;
    item.before = last;
    item.after = first;
    last.after = item;
    first.before = item;
  }

  leave(item: T): void {
    const { before, after } = item;
    if (before === undefined || after === undefined) return;
    this.#size--;
    before.after = after;
    after.before = before;
    if (this.#first === item) this.#first = after === item ? undefined : after;
    item.before = item.after = undefined;
  }

  /** Gives the first item, and moves it to the end. */
  next(): T | undefined {
    const first = this.#first;
    this.#first = first?.after;
    return first;
  }
}

/**
 * Round-robin queue of items that may stand in several queues at once. Each operation is O(1); an item that stands in
 * one queue alone is faster in a `RoundRobin`.
 *
 * One iterator is kept for all steps: a new one would walk over all that was removed in front of it, which makes a Set a
 * slow queue.
 */
export class SharedRoundRobin<T> {
  readonly #waiting = new Set<T>();
  #line = this.#waiting.values();

  get size(): number {
    return this.#waiting.size;
  }

  /** Adds the item at the end, unless it is in the queue. */
  join(item: T): void {
    this.#waiting.add(item);
  }

  leave(item: T): void {
    this.#waiting.delete(item);
  }

  /** Gives the first item, and moves it to the end. */
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

/** Most items that `find` looks at. */
const PROBES = 4;

/** A round-robin queue for each key; an item may stand in any number of them. */
export class KeyedRoundRobin<T> {
  readonly #queues = new Map<string, SharedRoundRobin<T>>();

  /** Adds the item at the end of the queue of `key`, unless it is in it. */
  join(key: string, item: T): void {
    let queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, (queue = new SharedRoundRobin()));
    queue.join(item);
  }

  leave(key: string, item: T): void {
    const queue = this.#queues.get(key);
    queue?.leave(item);
    if (queue?.size === 0) this.#queues.delete(key);
  }

  /** The first of a few items that suits. The items up to it move to the end. */
  find(key: string, suits: (item: T) => boolean): T | undefined {
    const queue = this.#queues.get(key);
    if (queue === undefined) return undefined;
    for (let probes = Math.min(PROBES, queue.size); probes > 0; probes--) {
      const item = queue.next();
      if (item !== undefined && suits(item)) return item;
    }
    return undefined;
  }
}
