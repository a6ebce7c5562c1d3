import { isSettled } from '@panal/protocol';
import { z } from 'zod';
import { decodeCall } from './call-codec.js';
import { writesOfRemovedCall } from './call-index.js';
import { sizeOfCall } from './call-usage.js';
import type { Database } from './database.js';
import type { Write } from './log/log.js';
import { keyOf, numberOf } from './keys.js';
import type { Medium } from './medium.js';
import { encodeJson } from './record-codec.js';
import type { CallRecord } from './records.js';

/** Which settled calls of an owner are removed. */
export interface Bounds {
  /** Those that settled before this time, epoch ms; none by default. */
  settledSince?: number | undefined;
  /** The oldest, until so many calls and so many bytes are removed. */
  excess: { calls: number; bytes: number };
  /** Only calls with a smaller number; all by default. */
  before?: number | undefined;
}

/** Calls removed at once. */
const PAGE = 250;
/** Bytes of calls read at once. */
const READ_BYTES = 64 * 1024;

/** No call of the owner has a number below `from`, so that a search for the oldest call skips the removed ones. */
const beginningSchema = z.object({ from: z.int() });

/** The next calls to remove. */
interface Page {
  writes: Write[];
  calls: number;
  bytes: number;
  /** No call with a smaller number is left after the page. */
  from: number;
}

/**
 * Sorts before the calls of the owner, so that a search for the next owner finds it before the tombstones of removed
 * calls: LevelDB walks over each tombstone until it compacts its files.
 */
const beginningKey = (owner: string): string => keyOf('call', owner);

/** Removes the note of where an owner's calls begin. */
export const writesOfNoBeginning = (owner: string): Write[] => [[beginningKey(owner), undefined]];

/**
 * Removes the calls of one owner that exceed the bounds, one page a step. One batch holds the page, the note of where the
 * calls begin, and the sums, so that a removal that is cut short continues next time. Numbers grow with time: the oldest
 * calls come first, and the walk ends at the first one that stays.
 */
export class CallRemoval {
  readonly owner: string;
  readonly #medium: Medium;
  readonly #through: number;
  /** The number at which the next step begins. */
  #at = 0;
  /** Whether a call with a smaller number than that stays. */
  #stays = false;
  #next: number | undefined;

  /** @param through looks at calls up to this number, all of which are stored */
  constructor(medium: Medium, owner: string, through: number) {
    this.#medium = medium;
    this.owner = owner;
    this.#through = through;
  }

  /** The call at which the next step begins; `undefined` if there is none. */
  get next(): number | undefined {
    return this.#next;
  }

  /** Resolves with how many calls were removed. */
  async step(bounds: Bounds): Promise<number> {
    const beginning = await this.#medium.getJson(beginningKey(this.owner), beginningSchema);
    const from = beginning?.from ?? 0;
    const page = await this.#medium.read((database) => this.#page(database, from, bounds));
    if (page.calls === 0) return 0;
    const note: Write = [beginningKey(this.owner), encodeJson({ from: page.from })];
    await this.#medium.commit([...page.writes, note], 'later');
    this.#medium.removed.add({ owner: this.owner, from, to: this.#at, bytes: page.bytes });
    return page.calls;
  }

  async #page(database: Database, from: number, bounds: Bounds): Promise<Page> {
    const page: Page = { writes: [], calls: 0, bytes: 0, from };
    this.#next = undefined;
    for await (const [key, value] of database.iterator(this.#range(Math.max(this.#at, from)))) {
      const number = numberOf(key);
      const call = readable(value);
      // A call that cannot be read stays, for a person to look at.
      if (call !== undefined && (page.calls === PAGE || stopsAt(call, page, bounds))) {
        this.#next = number;
        break;
      }
      if (call === undefined || !goes(call, page, bounds)) {
        this.#stays = true;
        continue;
      }
      page.writes.push(...writesOfRemovedCall(call));
      page.calls++;
      page.bytes += sizeOfCall(call);
      if (!this.#stays) page.from = number + 1;
    }
    this.#at = this.#next ?? this.#through + 1;
    return page;
  }

  #range(from: number): { gte: string; lt: string; highWaterMarkBytes: number } {
    const key = (number: number): string => keyOf('call', this.owner, number);
    return { gte: key(from), lt: key(this.#through + 1), highWaterMarkBytes: READ_BYTES };
  }
}

/** Whether there is still an excess after `page` is removed. */
const isExcess = (page: Page, { excess }: Bounds): boolean =>
  page.calls < excess.calls || page.bytes < excess.bytes;

/** Whether this call stays, and every call that was accepted after it. */
function stopsAt(call: CallRecord, page: Page, bounds: Bounds): boolean {
  const { settledSince = -Infinity, before = Infinity } = bounds;
  if (call.callNum >= before) return true;
  return !isExcess(page, bounds) && call.acceptedAt >= settledSince;
}

function goes(call: CallRecord, page: Page, bounds: Bounds): boolean {
  const { settledSince = -Infinity } = bounds;
  if (!isSettled(call.status)) return false;
  return isExcess(page, bounds) || (call.settledAt ?? call.acceptedAt) < settledSince;
}

function readable(bytes: Uint8Array): CallRecord | undefined {
  try {
    return decodeCall(bytes);
  } catch {
    return undefined;
  }
}
