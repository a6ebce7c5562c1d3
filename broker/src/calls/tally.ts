/** An amount for each key. */
export class Tally {
  readonly #amounts = new Map<string, number>();

  of(key: string): number {
    return this.#amounts.get(key) ?? 0;
  }

  add(key: string, change: number): void {
    const amount = this.of(key) + change;
    if (amount === 0) this.#amounts.delete(key);
    else this.#amounts.set(key, amount);
  }
}
