/** The value of what may not win. */
export const NONE = -1;

/**
 * A tournament tree: of any number of items with values, the one with the largest value. A change of a value is
 * O(log n), and stops at the first round whose result it does not change.
 */
export class Tournament<T> {
  /** The winner of all at 1, those who meet below n at 2n and 2n + 1, items at `#leaves` and above. */
  #values: number[] = [NONE, NONE];
  #leaves = 1;
  #items: (T | undefined)[] = [undefined];
  #vacant: number[] = [0];

  /** The largest value; `NONE` if there is none. */
  get best(): number {
    return this.#values[1] ?? NONE;
  }

  /** Adds an item with the value `NONE`, and gives its place. */
  add(item: T): number {
    if (this.#vacant.length === 0) this.#grow();
    const place = this.#vacant.pop() ?? 0;
    this.#items[place] = item;
    return place;
  }

  remove(place: number): void {
    this.set(place, NONE);
    this.#items[place] = undefined;
    this.#vacant.push(place);
  }

  set(place: number, value: number): void {
    let at = this.#leaves + place;
    this.#values[at] = value;
    for (at >>= 1; at > 0; at >>= 1) {
      const best = Math.max(this.#at(2 * at), this.#at(2 * at + 1));
      if (this.#values[at] === best) return;
      this.#values[at] = best;
    }
  }

  /** An item with the largest value. */
  winner(): T | undefined {
    return this.#winnerBelow(1);
  }

  /** The largest value of all but the item at `place`. */
  bestBeside(place: number): number {
    return this.#at(this.#rootBeside(place));
  }

  /** An item with that value. */
  winnerBeside(place: number): T | undefined {
    return this.#winnerBelow(this.#rootBeside(place));
  }

  /** The root of the subtree that holds the best of all but the item at `place`; 0 if there is none. */
  #rootBeside(place: number): number {
    let best = 0;
    for (let at = this.#leaves + place; at > 1; at >>= 1) {
      const sibling = at ^ 1;
      if (best === 0 || this.#at(sibling) > this.#at(best)) best = sibling;
    }
    return best;
  }

  #winnerBelow(root: number): T | undefined {
    const value = this.#at(root);
    if (root === 0 || value === NONE) return undefined;
    let at = root;
    while (at < this.#leaves) at = this.#at(2 * at) === value ? 2 * at : 2 * at + 1;
    return this.#items[at - this.#leaves];
  }

  #at(node: number): number {
    return node === 0 ? NONE : (this.#values[node] ?? NONE);
  }

  #grow(): void {
    const values = this.#items.map((_, place) => this.#at(this.#leaves + place));
    const before = this.#leaves;
    this.#leaves *= 2;
    this.#values = new Array<number>(2 * this.#leaves).fill(NONE);
    for (let place = before; place < this.#leaves; place++) {
      this.#items.push(undefined);
      this.#vacant.push(place);
    }
    for (const [place, value] of values.entries()) this.set(place, value);
  }
}
