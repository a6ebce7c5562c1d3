import { z } from 'zod';
import type { Range } from '../keys.js';
import { decodeValue, encodeJson, jsonDecoder } from '../record-codec.js';
import { Addition } from '../sums.js';
import type { Applied, Take, Transaction, View, Write } from './log.js';

const APPLIED: Applied = { applied: true };
const REFUSED: Applied = { applied: false };

const decodeCounter = jsonDecoder(z.int());

/** A batch as it is made, transaction by transaction: each sees what is stored, and what those before it write. */
export class Draft {
  /** A later write of a key replaces an earlier one. */
  readonly writes = new Map<string, Uint8Array | undefined>();
  readonly additions = new Map<string, Addition>();
  readonly #view: View;

  constructor(view: View) {
    this.#view = view;
  }

  /** Applies a transaction without conditions. */
  write(writes: Iterable<Write>): Applied {
    for (const [key, value] of writes) {
      if (value instanceof Addition) {
        this.additions.set(key, this.additions.get(key)?.plus(value) ?? value);
        continue;
      }
      this.writes.set(key, value);
      this.additions.delete(key);
    }
    return APPLIED;
  }

  /** Applies a transaction, if its conditions hold. */
  async apply({ writes, none, take }: Transaction): Promise<Applied> {
    if (none !== undefined && (await this.#hasAny(none))) return REFUSED;
    const through = take && (await this.#taken(take));
    if (take !== undefined && through === undefined) return REFUSED;
    this.write(writes);
    if (take === undefined || through === undefined) return APPLIED;
    this.write([[take.counter, encodeJson(through)]]);
    return { applied: true, through };
  }

  async #hasAny(range: Range): Promise<boolean> {
    let removed = 0;
    for (const [key, value] of this.writes) {
      if (key < range.gte || key >= range.lt) continue;
      if (value !== undefined) return true;
      removed++;
    }
    const stored = await this.#view.keys(range, removed + 1);
    return stored.some((key) => !this.writes.has(key));
  }

  async #taken({ counter, count, at }: Take): Promise<number | undefined> {
    const value = this.writes.has(counter) ? this.writes.get(counter) : await this.#view.get(counter);
    const last = value === undefined ? 0 : decodeValue(counter, value, decodeCounter);
    return at === undefined || at === last ? last + count : undefined;
  }
}
