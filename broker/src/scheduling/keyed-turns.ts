import { Turns } from './turns.js';

/** How many are looked at for one that suits, before another kind of place is taken. */
const PROBES = 4;

/** Things that take turns under keys, each under any number of them. */
export class KeyedTurns<T> {
  readonly #turns = new Map<string, Turns<T>>();

  /** Queues up at the end, unless it is queued there already. */
  join(key: string, item: T): void {
    let turns = this.#turns.get(key);
    if (turns === undefined) this.#turns.set(key, (turns = new Turns()));
    turns.join(item);
  }

  leave(key: string, item: T): void {
    const turns = this.#turns.get(key);
    turns?.leave(item);
    if (turns?.size === 0) this.#turns.delete(key);
  }

  /** One that suits, of the few whose turn it is. They go to the end of the line, up to the one that is found. */
  find(key: string, suits: (item: T) => boolean): T | undefined {
    const turns = this.#turns.get(key);
    if (turns === undefined) return undefined;
    for (let probes = Math.min(PROBES, turns.size); probes > 0; probes--) {
      const item = turns.next();
      if (item !== undefined && suits(item)) return item;
    }
    return undefined;
  }
}
