import { isSettled, PanalError, type FunctionSpec } from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import { decodeCall, LIST_BYTES } from './call-codec.js';
import {
  callKeyOf,
  partKey,
  rangesOf,
  UNSETTLED_ENTRIES,
  writesOfPutBack,
  writesOfSettled,
  writesOfUnsettled,
} from './call-index.js';
import { expireKeys, keyedCall, writesOfKey } from './call-keys.js';
import { removeCalls, type CallRetention } from './call-retention.js';
import { callUsage, countUncounted } from './call-usage.js';
import type { CommitObserver } from './commit-observer.js';
import { DeferredCalls } from './deferred-calls.js';
import { levelDatabase, type Database, type Snapshot } from './database.js';
import {
  writesOfFunction,
  writesOfKept,
  writesOfRemoval,
  writesOfRuntime,
  writesOfRuntimeRemoval,
  writesOfVersion,
  writesOfVersionRemoval,
} from './function-index.js';
import type { Write } from './group-commit.js';
import { keyOf, nameOf, numberOf, under } from './keys.js';
import { addMissingIndexes } from './late-index.js';
import { Medium, type Durability, type WriteKind } from './medium.js';
import { decodeValue, encodeJson, jsonDecoder } from './record-codec.js';
import {
  CALL_PARTS,
  type CallKey,
  type CallPart,
  type CallRecord,
  type FunctionRecord,
  type KeyedCall,
  type RuntimeRecord,
  type UserRecord,
  type VersionRecord,
  type VersionSummary,
} from './records.js';
import {
  callNumberSchema,
  functionRecordSchema,
  runtimeRecordSchema,
  userRecordSchema,
  versionRecordSchema,
  versionSummarySchema,
} from './schemas.js';
import type { CallQuery, NameQuery, Store, Usage, VersionQuery } from './store.js';
import { copyOf, writesOfPage, type Copyable, type Page, type StoreCopy } from './store-copy.js';
import type { Sum } from './sums.js';
import { LEAVING_USERS, noteOfLeaving, rangesOfOwner, writesOfLeaving, writesOfLeft } from './user-index.js';

export interface LevelStoreOptions {
  durability: Durability;
  /** Makes the database of a folder: LevelDB by default. */
  database?: (location: string) => Database;
  /** Is told of every commit. */
  observer?: CommitObserver;
}

/** Calls read at once when a broker takes up where it left. */
const RECOVERY_PAGE = 1000;

/** Keys, and functions, removed at once with what a user owned. */
const REMOVAL_PAGE = 1000;
const REMOVAL_FUNCTIONS = 100;

const LAST_CALL = keyOf('last-call');

/**
 * A store in one LevelDB folder, which one process at a time can open. `keys.ts` has the layout.
 * A record that cannot be understood is `PanalError` `INTERNAL`; its cause names the key.
 */
export class LevelStore implements Store, Copyable {
  readonly #medium: Medium;
  readonly #lock = new KeyedLock();
  readonly #deferred = new DeferredCalls((calls) =>
    this.#commitCalls(calls, calls.flatMap(writesOfUnsettled), 'later'),
  );
  #hasUsers = false;
  /** Highest call number that came by. */
  #lastCallNum = 0;
  /** Numbers up to this one are reserved, on disk. A call with a higher one writes it along. */
  #reserved = 0;

  /** @param location is made where it is missing, with the folders above it. */
  constructor(location: string, { durability, database = levelDatabase, observer }: LevelStoreOptions) {
    this.#medium = new Medium({ location, makeDatabase: database, durability, observer });
  }

  async open(): Promise<void> {
    await this.#medium.open(async () => {
      this.#lastCallNum = this.#reserved = await this.lastCallNum();
      await addMissingIndexes(this.#medium);
      await countUncounted(this.#medium);
      this.#hasUsers = await this.#medium.hasAny(under(keyOf('user')));
      for (const key of await this.#medium.keys(LEAVING_USERS)) await this.#removeOwned(nameOf(key));
    });
  }

  async close(): Promise<void> {
    this.#deferred.flush();
    await this.#medium.close();
  }

  /** Whether the last write failed, and none has succeeded since. */
  get failing(): boolean {
    return this.#medium.failing;
  }

  /** Gets a store going again that failed to write, if its disk allows for it. */
  async heal(): Promise<void> {
    if (this.failing) await this.#medium.commit([], 'later');
  }

  async copy(): Promise<StoreCopy> {
    return await copyOf(this.#medium);
  }

  async putPage(page: Page): Promise<void> {
    await this.#medium.commit(writesOfPage(page));
  }

  async isEmpty(): Promise<boolean> {
    return (await this.#medium.keys({ gt: '', lt: '\u{10ffff}' }, 1)).length === 0;
  }

  async getUser(name: string): Promise<UserRecord | undefined> {
    return await this.#medium.getJson(keyOf('user', name), userRecordSchema);
  }

  async addUser(user: UserRecord): Promise<boolean> {
    return await this.#lock.run(keyOf('user', user.name), async () => {
      if ((await this.getUser(user.name)) !== undefined) return false;
      // What a deletion that failed has left.
      if (await this.#medium.has(noteOfLeaving(user.name))) await this.#removeOwned(user.name);
      await this.putUser(user);
      return true;
    });
  }

  /** Whether any user was ever known while the store was open. */
  get hasUsers(): boolean {
    return this.#hasUsers;
  }

  async putUser(user: UserRecord): Promise<void> {
    this.#hasUsers = true;
    await this.#medium.commit([[keyOf('user', user.name), encodeJson(user)]]);
  }

  async deleteUser(name: string): Promise<void> {
    // Under the lock, so that a user of this name is added only when nothing is left of the one before.
    await this.#lock.run(keyOf('user', name), async () => {
      await this.#medium.commit(writesOfLeaving(name));
      await this.#removeOwned(name);
    });
  }

  async getRuntime(owner: string, name: string): Promise<RuntimeRecord | undefined> {
    return await this.#medium.getJson(keyOf('runtime', owner, name), runtimeRecordSchema);
  }

  async putRuntime(runtime: RuntimeRecord): Promise<void> {
    const { owner, name } = runtime;
    // Under the lock, so that no entry of an image stays that is not the runtime's.
    await this.#lock.run(keyOf('runtime', owner, name), async () => {
      await this.#medium.commit(writesOfRuntime(runtime, await this.getRuntime(owner, name)));
    });
  }

  async deleteRuntime(owner: string, name: string): Promise<void> {
    await this.#lock.run(keyOf('runtime', owner, name), async () => {
      const runtime = await this.getRuntime(owner, name);
      if (runtime !== undefined) await this.#medium.commit(writesOfRuntimeRemoval(runtime));
    });
  }

  async listRuntimes(query: NameQuery): Promise<string[]> {
    return await this.#names('runtime', query);
  }

  async hasRuntimeImage(owner: string, image: string): Promise<boolean> {
    return await this.#medium.hasAny(under(keyOf('runtime-image', owner, image)));
  }

  async isRuntimeUsed(owner: string, runtimeOwner: string, name: string): Promise<boolean> {
    return await this.#medium.hasAny(under(keyOf('uses-runtime', owner, runtimeOwner, name)));
  }

  async getFunction(owner: string, name: string): Promise<FunctionRecord | undefined> {
    return await this.#medium.getJson(keyOf('function', owner, name), functionRecordSchema);
  }

  async getVersion(owner: string, name: string, version: number): Promise<VersionRecord | undefined> {
    return await this.#medium.getJson(keyOf('version', owner, name, version), versionRecordSchema);
  }

  async putFunction(record: FunctionRecord, version?: VersionRecord): Promise<void> {
    await this.#lock.run(keyOf('function', record.owner, record.name), () =>
      this.#medium.commit(writesOfFunction(record, version)),
    );
  }

  async deleteFunction(owner: string, name: string): Promise<void> {
    // Under the lock no version is written between reading which there are and removing them.
    await this.#lock.run(keyOf('function', owner, name), async () => {
      const versions = await this.listSummaries({ owner, name });
      await this.#medium.commit(writesOfRemoval(owner, name, versions));
    });
  }

  async deleteVersion(owner: string, name: string, version: number): Promise<void> {
    await this.#lock.run(keyOf('function', owner, name), async () => {
      const summary = await this.getSummary(owner, name, version);
      if (summary !== undefined) await this.#medium.commit(writesOfVersionRemoval(owner, name, summary));
    });
  }

  async listFunctions(query: NameQuery): Promise<string[]> {
    return await this.#names('function', query);
  }

  async #names(kind: 'function' | 'runtime', { owner, after, limit }: NameQuery): Promise<string[]> {
    const { gte, lt } = under(keyOf(kind, owner));
    const range = after === undefined ? { gte, lt } : { gt: keyOf(kind, owner, after), lt };
    return (await this.#medium.keys(range, limit)).map(nameOf);
  }

  async listVersions(owner: string, name: string): Promise<number[]> {
    return (await this.#medium.keys(under(keyOf('version', owner, name)))).map(numberOf);
  }

  async getSummary(owner: string, name: string, version: number): Promise<VersionSummary | undefined> {
    return await this.#medium.getJson(keyOf('version-summary', owner, name, version), versionSummarySchema);
  }

  async listSummaries({ owner, name, after = 0, limit = -1 }: VersionQuery): Promise<VersionSummary[]> {
    const { lt } = under(keyOf('version-summary', owner, name));
    const range = { gt: keyOf('version-summary', owner, name, after), lt };
    const decoder = jsonDecoder(versionSummarySchema);
    return await this.#medium.read(async (database) => {
      const entries = await database.iterator({ ...range, limit }).all();
      return entries.map(([key, value]) => decodeValue(key, value, decoder));
    });
  }

  async isBundleUsed(sha256: string, owner?: string): Promise<boolean> {
    const parts = owner === undefined ? [sha256] : [sha256, owner];
    return await this.#medium.hasAny(under(keyOf('uses-bundle', ...parts)));
  }

  async usageOf(owner: string): Promise<Usage> {
    const functions = (await this.#medium.keys(under(keyOf('function', owner)))).length;
    const decoder = jsonDecoder(versionSummarySchema);
    return await this.#medium.read(async (database) => {
      const bundles = new Map<string, number>();
      let versions = 0;
      for await (const [key, value] of database.iterator(under(keyOf('version-summary', owner)))) {
        const { code } = decodeValue(key, value, decoder);
        versions++;
        if (code !== undefined) bundles.set(code.bundle.sha256, code.bundle.size);
      }
      return { functions, versions, bytes: [...bundles.values()].reduce((sum, size) => sum + size, 0) };
    });
  }

  async bindImage({ owner, name, version, id }: FunctionSpec, imageDigest: string): Promise<string> {
    return await this.#lock.run(keyOf('function', owner, name), async () => {
      const registered = await this.getVersion(owner, name, version);
      const isRegistered = registered?.spec.id === id;
      const stored = isRegistered ? registered : await this.getKeptVersion(id);
      if (stored?.spec.kind !== 'image') return imageDigest;
      if (stored.spec.imageDigest !== undefined) return stored.spec.imageDigest;
      const bound = { ...stored, spec: { ...stored.spec, imageDigest } };
      await this.#medium.commit(isRegistered ? writesOfVersion(bound) : writesOfKept(bound));
      return imageDigest;
    });
  }

  async keepVersion(version: VersionRecord): Promise<void> {
    await this.#medium.commit(writesOfKept(version));
  }

  async getKeptVersion(id: string): Promise<VersionRecord | undefined> {
    return await this.#medium.getJson(keyOf('kept-version', id), versionRecordSchema);
  }

  async listKeptVersions(): Promise<string[]> {
    return (await this.#medium.keys(under(keyOf('kept-version')))).map(nameOf);
  }

  async forgetKeptVersion(id: string): Promise<void> {
    const version = await this.getKeptVersion(id);
    if (version !== undefined) await this.#medium.commit(writesOfKept(version, { gone: true }));
  }

  async lastCallNum(): Promise<number> {
    return (await this.#medium.getJson(LAST_CALL, callNumberSchema)) ?? 0;
  }

  async reserveCallNums(through: number): Promise<void> {
    await this.#medium.commit([[LAST_CALL, encodeJson(through)]], 'always');
    this.#reserved = through;
  }

  async acceptCall(
    call: CallRecord,
    { lazy = false, key }: { lazy?: boolean; key?: CallKey } = {},
  ): Promise<void> {
    if (lazy && key === undefined) {
      await this.#deferred.add(call);
      return;
    }
    const writes = writesOfUnsettled(call);
    if (key !== undefined) writes.push(...writesOfKey(call, key));
    await this.#commitCalls([call], writes, 'accepted');
  }

  async updateCall(call: CallRecord): Promise<void> {
    await this.#commitCalls([call], writesOfUnsettled(call), 'accepted');
  }

  async settleCall(call: CallRecord): Promise<void> {
    const writes = writesOfSettled(call, { unwritten: this.#deferred.has(call.callNum) });
    await this.#commitCalls([call], writes, 'ended');
  }

  async putBackCall(call: CallRecord): Promise<boolean> {
    // Under the lock nobody removes the call between the look and the write.
    return await this.#lock.run(keyOf('user', call.owner), async () => {
      const stored = await this.getCall(call.owner, call.callNum);
      if (stored?.status !== 'DEAD') return false;
      await this.#commitCalls([call], writesOfPutBack(call, stored), 'accepted');
      return true;
    });
  }

  async *removeCalls(retention: CallRetention): AsyncGenerator<number> {
    this.#deferred.flush();
    const through = this.#lastCallNum;
    // Commits are made in turn: after this one every call up to `through` is stored, or never will be.
    await this.#medium.commit([], 'later');
    // Under the lock, so that nothing of it is written for a user who is being deleted.
    const alone = (owner: string, step: () => Promise<number>): Promise<number> =>
      this.#lock.run(keyOf('user', owner), step);
    yield* removeCalls({ medium: this.#medium, retention, through, alone });
  }

  async callUsage(owner?: string): Promise<Sum> {
    return await callUsage(this.#medium, owner);
  }

  async getKeyedCall(owner: string, key: string): Promise<KeyedCall | undefined> {
    return await keyedCall(this.#medium, owner, key);
  }

  async expireCallKeys(time: number): Promise<void> {
    await expireKeys(this.#medium, time);
  }

  async getCall(owner: string, callNum: number): Promise<CallRecord | undefined> {
    const call = await this.#readCall(keyOf('call', owner, callNum));
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

  async *unsettledCalls(): AsyncGenerator<CallRecord> {
    const entries = await this.#medium.keys(UNSETTLED_ENTRIES);
    const calls = entries.map((entry) => ({ callNum: numberOf(entry), key: callKeyOf(entry) }));
    calls.sort((a, b) => a.callNum - b.callNum);
    const read = async (start: number): Promise<CallRecord[]> => {
      const keys = calls.slice(start, start + RECOVERY_PAGE).map(({ key }) => key);
      return await this.#medium.read((database) => readCalls(database, keys));
    };
    let next = read(0);
    for (let start = 0; start < calls.length; start += RECOVERY_PAGE) {
      const page = await next;
      // The next page is read while this one is made use of.
      next = read(start + RECOVERY_PAGE);
      next.catch(() => undefined);
      // Some may have settled since the entries were read.
      yield* page.filter(({ status }) => !isSettled(status));
    }
  }

  /** Removes what a user owned who is leaving, in pages, and then the note that it is. */
  async #removeOwned(owner: string): Promise<void> {
    for (let names; (names = await this.listFunctions({ owner, limit: REMOVAL_FUNCTIONS })).length > 0;) {
      await Promise.all(names.map((name) => this.deleteFunction(owner, name)));
    }
    for (const range of rangesOfOwner(owner)) {
      for (let keys; (keys = await this.#medium.keys(range, REMOVAL_PAGE)).length > 0;) {
        await this.#medium.commit(keys.map((key) => [key, undefined]));
      }
    }
    await this.#medium.commit(writesOfLeft(owner, await this.callUsage(owner)));
  }

  async #readCall(key: string): Promise<CallRecord | undefined> {
    const short = await this.#medium.get(key, decodeCall);
    if (short?.apart === undefined) return short;
    return await this.#medium.read(async (database) => {
      // Again, of one moment, so that the parts are those of the record.
      const snapshot = database.snapshot();
      try {
        const [call] = await readCalls(database, [key], snapshot);
        return call && (await withParts(database, call, Infinity, snapshot));
      } finally {
        await snapshot.close();
      }
    });
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

/** The calls at `keys`, in their order, without those that are not there. */
async function readCalls(database: Database, keys: string[], snapshot?: Snapshot): Promise<CallRecord[]> {
  const values: (Uint8Array | undefined)[] = await database.getMany(keys, { snapshot });
  return keys.flatMap((key, index) => {
    const value = values[index];
    return value === undefined ? [] : [decodeValue(key, value, decodeCall)];
  });
}

/** The call with those of its parts that are kept apart and have at most `limit` bytes. */
async function withParts(
  database: Database,
  call: CallRecord,
  limit: number,
  snapshot: Snapshot,
): Promise<CallRecord> {
  const { apart = {} } = call;
  const parts = CALL_PARTS.filter((part) => apart[part] !== undefined && apart[part] <= limit);
  if (parts.length === 0) return call;
  const keys = parts.map((part) => partKey(call, part));
  const values: (Uint8Array | undefined)[] = await database.getMany(keys, { snapshot });
  const whole = { ...call };
  const left = { ...apart };
  for (const [index, part] of parts.entries()) {
    const value = values[index];
    if (value === undefined) throw new PanalError('INTERNAL', 'a part of a stored call is missing');
    whole[part] = value;
    left[part] = undefined;
  }
  if (Object.values(left).some((size) => size !== undefined)) whole.apart = left;
  else delete whole.apart;
  return whole;
}
