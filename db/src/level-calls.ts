import { isSettled } from '@panal/protocol';
import type { KeyedLock } from '@panal/support';
import { LIST_BYTES } from './call-codec.js';
import { writesOfEvents } from './call-events.js';
import {
  callKeyOf,
  partKey,
  rangesOf,
  UNSETTLED_ENTRIES,
  writesOfPutBack,
  writesOfSettled,
  writesOfUnsettled,
} from './call-index.js';
import { writesOfKey } from './call-keys.js';
import { readCall, readCalls, withParts } from './call-reading.js';
import { removeCalls } from './call-retention.js';
import { callUsage } from './call-usage.js';
import { DeferredCalls } from './deferred-calls.js';
import type { Write, WriteKind } from './log/log.js';
import { keyOf, numberOf } from './keys.js';
import type { Medium } from './medium.js';
import { encodeJson } from './record-codec.js';
import { CALL_PARTS, type CallKey, type CallPart, type CallRecord } from './records.js';
import { callNumberSchema } from './schemas.js';
import type { CallNumBlock, CallQuery, CallRetention, CallStore } from './store.js';
import type { Sum } from './sums.js';

/** Calls that are read together, and the bytes after which a page of them ends. */
const PAGE_STEP = 16;
const PAGE_BYTES = 2 * 1024 * 1024;
/** What a call takes besides its parts, in bytes. */
const RECORD_BYTES = 1024;

const LAST_CALL = keyOf('last-call');

/** The calls of a `LevelStore`. */
export class LevelCalls implements CallStore {
  readonly #medium: Medium;
  readonly #lock: KeyedLock;
  /** The run that writes, as bytes. */
  readonly #run: Buffer;
  readonly #deferred = new DeferredCalls((calls) =>
    this.#commitCalls(
      calls,
      calls.flatMap((call) => writesOfUnsettled(call, this.#run)),
      'later',
    ),
  );
  /** Highest call number that came by. */
  #lastCallNum = 0;
  /** Numbers up to this one are reserved, on disk. A call with a higher one writes it along. */
  #reserved = 0;

  /** @param lock keeps writes of the same record apart, those of other ports as well */
  constructor(medium: Medium, lock: KeyedLock, run: string) {
    this.#medium = medium;
    this.#lock = lock;
    this.#run = Buffer.from(run);
  }

  async open(): Promise<void> {
    this.#lastCallNum = this.#reserved = await this.lastCallNum();
  }

  /** Begins to write what waits. */
  flush(): void {
    this.#deferred.flush();
  }

  async lastCallNum(): Promise<number> {
    return (await this.#medium.getJson(LAST_CALL, callNumberSchema)) ?? 0;
  }

  async takeCallNums(count: number): Promise<number> {
    const { through = 0 } = await this.#medium.append(
      { writes: [], take: { counter: LAST_CALL, count } },
      'always',
    );
    this.#reserved = Math.max(this.#reserved, through);
    return through;
  }

  async giveBackCallNums({ after, through }: CallNumBlock): Promise<void> {
    const take = { counter: LAST_CALL, count: after - through, at: through };
    const { applied } = await this.#medium.append({ writes: [], take }, 'always');
    if (applied) this.#reserved = after;
  }

  async acceptCall(
    call: CallRecord,
    { lazy = false, key }: { lazy?: boolean; key?: CallKey } = {},
  ): Promise<void> {
    if (lazy && key === undefined) {
      await this.#deferred.add(call);
      return;
    }
    const writes = writesOfUnsettled(call, this.#run);
    if (key !== undefined) writes.push(...writesOfKey(call, key));
    await this.#commitCalls([call], writes, 'accepted');
  }

  async updateCall(call: CallRecord): Promise<void> {
    await this.#commitCalls([call], writesOfUnsettled(call, this.#run), 'accepted');
  }

  async settleCall(call: CallRecord, subscribers: readonly string[] = []): Promise<void> {
    const writes = writesOfSettled(call, { unwritten: this.#deferred.has(call.callNum) });
    if (subscribers.length > 0) writes.push(...writesOfEvents(call, subscribers));
    await this.#commitCalls([call], writes, 'ended');
  }

  async putBackCall(call: CallRecord): Promise<boolean> {
    // Under the lock nobody removes the call between the look and the write.
    return await this.#lock.run(keyOf('user', call.owner), async () => {
      const stored = await this.getCall(call.owner, call.callNum);
      if (stored?.status !== 'DEAD') return false;
      await this.#commitCalls([call], writesOfPutBack(call, stored, this.#run), 'accepted');
      return true;
    });
  }

  async *removeCalls(retention: CallRetention): AsyncGenerator<number> {
    this.flush();
    const through = this.#lastCallNum;
    // Commits are made in turn: after this one every call up to `through` is stored, or never will be.
    await this.#medium.commit([], 'later');
    // Under the lock, so that nothing of it is written for a user who is being deleted.
    const alone = (owner: string, step: () => Promise<number>): Promise<number> =>
      this.#lock.run(keyOf('user', owner), step);
    yield* removeCalls({ medium: this.#medium, retention, through, alone });
  }

  async reclaim(bytes: number): Promise<void> {
    await this.#medium.reclaim(bytes);
  }

  async callUsage(owner?: string): Promise<Sum> {
    return await callUsage(this.#medium, owner);
  }

  async getCall(owner: string, callNum: number, limit = Infinity): Promise<CallRecord | undefined> {
    const call = await readCall(this.#medium, keyOf('call', owner, callNum), limit);
    // What somebody sees of its end survives a power cut.
    await this.#medium.ended([callNum]);
    return call;
  }

  async getCallPart(owner: string, callNum: number, part: CallPart): Promise<Uint8Array | undefined> {
    return await this.#medium.read((database) => database.get(partKey({ owner, callNum }, part)));
  }

  async listCalls(query: CallQuery): Promise<CallRecord[]> {
    return await this.#medium.read(async (database) => {
      // Of one moment, so that a call that settles meanwhile is neither missed nor seen twice.
      const snapshot = database.snapshot();
      try {
        const options = { reverse: true, limit: query.limit, snapshot };
        const found = await Promise.all(
          rangesOf(query).map((range) => database.keys({ ...range, ...options }).all()),
        );
        const newest = found
          .flat()
          .map(numberOf)
          .sort((a, b) => b - a)
          .slice(0, query.limit);
        const keys = newest.map((callNum) => keyOf('call', query.owner, callNum));
        const calls = await readCalls(database, keys, snapshot);
        await this.#medium.ended(newest);
        return await Promise.all(calls.map((call) => withParts(database, call, LIST_BYTES, snapshot)));
      } finally {
        await snapshot.close();
      }
    });
  }

  async *unsettledCalls(ofRun: (run: string) => boolean = () => true): AsyncGenerator<CallRecord> {
    const entries = await this.#medium.read((database) => database.iterator(UNSETTLED_ENTRIES).all());
    const calls = entries
      .filter(([, run]) => ofRun(Buffer.from(run).toString()))
      .map(([entry]) => ({ callNum: numberOf(entry), key: callKeyOf(entry) }));
    calls.sort((a, b) => a.callNum - b.callNum);
    const keys = calls.map(({ key }) => key);
    let next = this.#page(keys, 0);
    for (let start = 0; start < keys.length;) {
      const page = await next;
      start = page.end;
      // The next page is read while this one is made use of.
      next = this.#page(keys, start);
      next.catch(() => undefined);
      // Some may have settled since the entries were read.
      yield* page.calls.filter(({ status }) => !isSettled(status));
    }
  }

  /** Calls from `start` on, of about `PAGE_BYTES` at most: an earlier Panal kept long parameters within the records. */
  async #page(keys: readonly string[], start: number): Promise<{ calls: CallRecord[]; end: number }> {
    const page: CallRecord[] = [];
    let end = start;
    for (let bytes = 0; bytes < PAGE_BYTES && end < keys.length; end += PAGE_STEP) {
      const step = keys.slice(end, end + PAGE_STEP);
      const calls = await this.#medium.read((database) => readCalls(database, step));
      for (const call of calls) bytes += RECORD_BYTES + bytesInRecord(call);
      page.push(...calls);
    }
    return { calls: page, end };
  }

  async #commitCalls(calls: readonly CallRecord[], writes: Write[], kind: WriteKind): Promise<void> {
    for (const { callNum } of calls) this.#lastCallNum = Math.max(this.#lastCallNum, callNum);
    // Each time, also when it is not new: the commit that should have written it may have failed.
    if (this.#lastCallNum > this.#reserved) writes.push([LAST_CALL, encodeJson(this.#lastCallNum)]);
    const written = this.#medium.commit(writes, kind, kind === 'ended' ? calls[0]?.callNum : undefined);
    for (const { callNum } of calls) this.#deferred.supersede(callNum, written);
    await written;
  }
}

function bytesInRecord(call: CallRecord): number {
  return CALL_PARTS.reduce((sum, part) => sum + (call[part]?.byteLength ?? 0), 0);
}
