import { setImmediate as turn } from 'node:timers/promises';

/** What comes in one turn of the event loop, or while the batch before it is on its way, goes out as one. */
export class Batch {
  #send;
  #items = [];
  #collecting;
  #before;

  /** @param send takes an array of items; resolves when the next batch may follow. */
  constructor(send) {
    this.#send = send;
  }

  /** Resolves once the batch of this item was sent. */
  add(item) {
    this.#items.push(item);
    return (this.#collecting ??= this.#flush());
  }

  async #flush() {
    await this.#before;
    await turn();
    const items = this.#items;
    this.#items = [];
    this.#before = this.#collecting;
    this.#collecting = undefined;
    await this.#send(items);
  }
}
