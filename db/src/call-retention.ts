import { isSettled } from '@panal/protocol';
import { z } from 'zod';
import { decodeCall } from './call-codec.js';
import { UNSETTLED, writesOfRemovedCall } from './call-index.js';
import type { Database } from './database.js';
import type { Write } from './group-commit.js';
import { keyOf, numberOf, secondOf, under, upTo, type Range } from './keys.js';
import type { Medium } from './medium.js';
import { encodeJson } from './record-codec.js';
import type { CallRecord } from './records.js';

/** Which settled calls are kept. */
export interface CallRetention {
  /** Those that settled then or later, epoch ms; by default those of any time. */
  settledSince?: number;
  /** Of each owner, so many of the newest; by default any number. */
  newest?: number;
}

/** Calls removed at once, and calls counted at once. */
const REMOVAL_PAGE = 250;
const COUNT_PAGE = 1000;
/** Bytes of calls read at once. */
const READ_BYTES = 64 * 1024;

/** What is known of the calls of an owner. */
const tallySchema = z.object({
  /** None has a smaller number: nobody has to walk over what was removed to find the oldest. */
  from: z.int(),
  /** How many are stored with numbers up to `through`. */
  count: z.int(),
  through: z.int(),
});
type Tally = z.infer<typeof tallySchema>;

const NO_TALLY: Tally = { from: 0, count: 0, through: 0 };

/** The next calls of an owner that have to go. */
interface Page {
  writes: Write[];
  removed: number;
  /** No call with a smaller number is left then. */
  from: number;
}

/**
 * In front of the owner's calls, where it is met before what LevelDB notes of removed ones: until it merges its files,
 * whoever looks for the key that comes next walks over each of these notes.
 */
const tallyKey = (owner: string): string => keyOf('call', owner);

/** What forgets how many calls an owner has. */
export const writesOfNoTally = (owner: string): Write[] => [[tallyKey(owner), undefined]];

type Step = () => Promise<number | undefined>;

/**
 * Removes settled calls, page by page, and gives how many after each.
 * @param options.through up to this number every call there ever will be is stored
 * @param alone does a step while nothing else of this owner's is removed, and no call of it put back
 */
export async function* removeCalls(
  medium: Medium,
  { through, retention }: { through: number; retention: CallRetention },
  alone: (owner: string, step: Step) => ReturnType<Step>,
): AsyncGenerator<number, void, undefined> {
  for await (const owner of callOwners(medium)) {
    const removal = new CallRemoval(medium, owner, through, retention);
    const step = (): ReturnType<Step> => alone(owner, () => removal.step());
    for (let removed = await step(); removed !== undefined; removed = await step()) yield removed;
  }
}

/** Names of those who have calls, or had some. */
async function* callOwners(medium: Medium): AsyncGenerator<string, void, undefined> {
  const range = under(keyOf('call'));
  for (;;) {
    const [first] = await medium.keys(range, 1);
    if (first === undefined) return;
    const owner = secondOf(first);
    yield owner;
    range.gte = under(keyOf('call', owner)).lt;
  }
}

/**
 * Removes from the calls of one owner those that are not to be kept, a page a step. A page is one batch with the tally,
 * so that whatever is cut short between two steps is gone on with next time. Numbers grow with time: the oldest calls
 * come first, and the walk ends at the first one that was accepted too late to have to go.
 */
class CallRemoval {
  readonly #medium: Medium;
  readonly #owner: string;
  readonly #through: number;
  readonly #retention: CallRetention;
  /** Settled calls beyond the number that is kept; known once all are counted. */
  #excess: number | undefined;

  constructor(medium: Medium, owner: string, through: number, retention: CallRetention) {
    this.#medium = medium;
    this.#owner = owner;
    this.#through = through;
    this.#retention = retention;
  }

  /** Resolves with how many calls were removed, maybe none; `undefined` once nothing is left to do. */
  async step(): Promise<number | undefined> {
    const tally = (await this.#medium.getJson(tallyKey(this.#owner), tallySchema)) ?? NO_TALLY;
    if (await this.#count(tally)) return 0;
    this.#excess ??= await this.#excessOf(tally);
    const { writes, removed, from } = await this.#medium.read((database) => this.#page(database, tally));
    if (removed === 0) return undefined;
    this.#excess -= removed;
    await this.#put({ ...tally, from, count: tally.count - removed }, writes);
    return removed;
  }

  /** Counts on, a page; `false` where there was nothing to count. */
  async #count(tally: Tally): Promise<boolean> {
    const came = await this.#medium.keys(this.#range(tally.through + 1), COUNT_PAGE);
    const last = came.at(-1);
    if (last === undefined) return false;
    await this.#put({ ...tally, through: numberOf(last), count: tally.count + came.length });
    return true;
  }

  async #excessOf({ count }: Tally): Promise<number> {
    const { newest = Infinity } = this.#retention;
    if (count <= newest) return 0;
    const unsettled = upTo(keyOf('call-by-status', UNSETTLED, this.#owner), this.#through + 1);
    return count - (await this.#medium.keys(unsettled)).length - newest;
  }

  async #page(database: Database, tally: Tally): Promise<Page> {
    const page: Page = { writes: [], removed: 0, from: tally.from };
    let stays = false;
    const range = { ...this.#range(tally.from), highWaterMarkBytes: READ_BYTES };
    for await (const [key, value] of database.iterator(range)) {
      const fate = this.#fateOf(readable(value), page.removed);
      if (fate === 'stop' || page.removed === REMOVAL_PAGE) break;
      if (fate === 'stays') {
        stays = true;
        continue;
      }
      page.writes.push(...writesOfRemovedCall(fate));
      page.removed++;
      if (!stays) page.from = numberOf(key) + 1;
    }
    return page;
  }

  /** What becomes of a call, so many before it being `removed` with it: the call itself where it goes. */
  #fateOf(call: CallRecord | undefined, removed: number): CallRecord | 'stays' | 'stop' {
    const { settledSince = -Infinity } = this.#retention;
    const isExcess = removed < (this.#excess ?? 0);
    // For people to look at.
    if (call === undefined) return 'stays';
    if (!isExcess && call.acceptedAt >= settledSince) return 'stop';
    if (!isSettled(call.status)) return 'stays';
    return isExcess || (call.settledAt ?? call.acceptedAt) < settledSince ? call : 'stays';
  }

  #range(from: number): Range {
    return { gte: keyOf('call', this.#owner, from), lt: keyOf('call', this.#owner, this.#through + 1) };
  }

  async #put(tally: Tally, writes: Write[] = []): Promise<void> {
    await this.#medium.commit([...writes, [tallyKey(this.#owner), encodeJson(tally)]], 'later');
  }
}

function readable(bytes: Uint8Array): CallRecord | undefined {
  try {
    return decodeCall(bytes);
  } catch {
    return undefined;
  }
}
