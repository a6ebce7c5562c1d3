/** What can stand in a `Ring`, in one at a time: it carries the links. */
export interface Linked<T> {
  before: T | undefined;
  after: T | undefined;
}

/**
 * Things that take turns: each comes to the front once before any comes there twice. A circular list whose links are in
 * its items, so that a turn is one step along it, and to join or leave it allocates nothing.
 */
export class Ring<T extends Linked<T>> {
  #first: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whose turn it is next. */
  get first(): T | undefined {
    return this.#first;
  }

  /** Queues up at the end, unless it is queued already. */
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

  /** Whose turn it is. It goes to the end of the line. */
  next(): T | undefined {
    const first = this.#first;
    this.#first = first?.after;
    return first;
  }
}
