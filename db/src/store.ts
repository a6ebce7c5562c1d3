import type { CallStatus, FunctionSpec } from '@panal/protocol';
import type {
  CallEvent,
  CallKey,
  CallPart,
  CallRecord,
  FunctionRecord,
  KeyedCall,
  RuntimeRecord,
  UserRecord,
  VersionRecord,
  VersionSummary,
} from './records.js';
import type { Sum } from './sums.js';

/** Which settled calls are kept. */
export interface CallRetention {
  /** Those that settled at this time or later, epoch ms; all by default. */
  settledSince?: number | undefined;
  /** Of each owner, so many of the newest; all by default. */
  newest?: number | undefined;
  /** Of each owner, the newest that together take at most so many bytes; all by default. */
  ownerBytes?: number | undefined;
  /** Of all owners, the newest that together take at most so many bytes; all by default. */
  bytes?: number | undefined;
}

/** Which calls of an owner to list: newest first. */
export interface CallQuery {
  owner: string;
  /** Only calls with a smaller number. */
  before?: number;
  /** At most so many, from 1. */
  limit: number;
  status?: CallStatus;
  funcName?: string;
}

/** The call numbers from `after` + 1 to `through`. */
export interface CallNumBlock {
  after: number;
  through: number;
}

/** A page of names in code-point order. */
export interface NameQuery {
  owner: string;
  /** Only names after this one. */
  after?: string;
  limit: number;
}

/** Which versions of a function to list: in the order of their numbers. */
export interface VersionQuery {
  owner: string;
  name: string;
  /** Only versions with a larger number. */
  after?: number;
  /** Unlimited by default. */
  limit?: number;
}

/**
 * What an owner has stored: functions, versions of all of them, and bytes of packed bundles, each bundle once however
 * many versions use it.
 */
export interface Usage {
  functions: number;
  versions: number;
  bytes: number;
}

/**
 * What Panal keeps. Every write is atomic, and durable when its promise resolves: on disk with the durabilities `fsync`
 * and `strict`, with the operating system with `os`. How a call ended is on disk then with `strict`, and within 100 ms
 * with `fsync`; a read of that call waits for it. Writes that arrive together share one commit. A read costs what it returns,
 * not what is stored. `open` and `close` may be called twice.
 *
 * Every method of its parts throws `PanalError` `STORE_UNAVAILABLE` if the medium fails; a failed write leaves nothing
 * behind. A record that cannot be understood is `INTERNAL`.
 */
export interface Store {
  open(): Promise<void>;
  /** Waits for the writes under way. */
  close(): Promise<void>;

  readonly users: UserStore;
  readonly functions: FunctionStore;
  readonly calls: CallStore;
  readonly keys: KeyStore;
  readonly events: EventStore;
}

/** Users by their names. */
export interface UserStore {
  getUser(name: string): Promise<UserRecord | undefined>;
  /** Stores a new user, unless there is one of this name: then nothing is written, and it resolves with `false`. */
  addUser(user: UserRecord): Promise<boolean>;
  /** Whether any user was ever known while the store was open. */
  readonly hasUsers: boolean;
  /** Replaces a user. */
  putUser(user: UserRecord): Promise<void>;
  /**
   * Removes a user and all that it owns: functions, versions, runtimes, calls. There is no such user from the first
   * write on. The rest goes page by page, after a crash when the store is opened next; until it is gone, `addUser` of
   * this name waits. Nothing may be written on the user's behalf meanwhile.
   */
  deleteUser(name: string): Promise<void>;
}

/** Runtimes, functions and their versions. */
export interface FunctionStore {
  getRuntime(owner: string, name: string): Promise<RuntimeRecord | undefined>;
  putRuntime(runtime: RuntimeRecord): Promise<void>;
  deleteRuntime(owner: string, name: string): Promise<void>;
  listRuntimes(query: NameQuery): Promise<string[]>;
  /** Whether any runtime of `owner` has this image. */
  hasRuntimeImage(owner: string, image: string): Promise<boolean>;
  /** Whether any version of a function of `owner` uses the runtime `name` of `runtimeOwner`. */
  isRuntimeUsed(owner: string, runtimeOwner: string, name: string): Promise<boolean>;

  getFunction(owner: string, name: string): Promise<FunctionRecord | undefined>;
  getVersion(owner: string, name: string, version: number): Promise<VersionRecord | undefined>;
  /** Writes the function, and the new version with it where one is given. */
  putFunction(record: FunctionRecord, version?: VersionRecord): Promise<void>;
  /** Removes the function and its versions. Its calls stay. */
  deleteFunction(owner: string, name: string): Promise<void>;
  /** Removes one version; the function must not stand for it. */
  deleteVersion(owner: string, name: string, version: number): Promise<void>;
  listFunctions(query: NameQuery): Promise<string[]>;
  /** Version numbers, ascending. */
  listVersions(owner: string, name: string): Promise<number[]>;
  getSummary(owner: string, name: string, version: number): Promise<VersionSummary | undefined>;
  listSummaries(query: VersionQuery): Promise<VersionSummary[]>;
  /** Whether any version uses this bundle; given an owner, whether any of its functions does. */
  isBundleUsed(sha256: string, owner?: string): Promise<boolean>;
  /** Counts what an owner has stored. Costs as much as the owner has versions, so count on from it. */
  usageOf(owner: string): Promise<Usage>;

  /**
   * Binds a version of an image function to the image that its name stood for: the first digest stays. Does nothing if
   * the version is neither registered nor kept.
   * @returns the digest that the version is bound to
   */
  bindImage(spec: FunctionSpec, imageDigest: string): Promise<string>;

  /** Keeps a version under its id for the calls accepted with it, when it is about to be deleted. */
  keepVersion(version: VersionRecord): Promise<void>;
  getKeptVersion(id: string): Promise<VersionRecord | undefined>;
  /** Ids of the versions that are kept. */
  listKeptVersions(): Promise<string[]>;
  forgetKeptVersion(id: string): Promise<void>;
}

/** Calls, and their numbers. */
export interface CallStore {
  /** The highest call number that is stored, or reserved; 0 for none. */
  lastCallNum(): Promise<number>;
  /**
   * Reserves the next call numbers, on disk whatever the durability. No two takers get the same number.
   * @returns the last of them
   */
  takeCallNums(count: number): Promise<number>;
  /** Gives back numbers that no call has; does nothing if others were taken since. */
  giveBackCallNums(block: CallNumBlock): Promise<void>;
  /**
   * Stores a new call, `PENDING`. A `lazy` one is not synced, and is written a moment later (100 ms), unless it
   * has ended by then: for a call whose client hears of it no earlier than of its outcome. A `key` is stored with the
   * call, at once, or not at all.
   */
  acceptCall(call: CallRecord, options?: { lazy?: boolean; key?: CallKey }): Promise<void>;
  /**
   * Stores a change of a call that is not settled: an attempt that failed, and when the next may start. A call that is
   * `RUNNING` is kept as `PENDING`: what is running is known to the broker alone, and for no longer than it lives.
   */
  updateCall(call: CallRecord): Promise<void>;
  /**
   * Stores a settled call, with an event for each of these subscribers. It never changes again, but that one that is
   * `DEAD` may be put back.
   */
  settleCall(call: CallRecord, subscribers?: readonly string[]): Promise<void>;
  /** Stores a call that was `DEAD` and is not settled any more; resolves with `false` where none that is `DEAD` is kept. */
  putBackCall(call: CallRecord): Promise<boolean>;
  /**
   * Removes settled calls that are not to be kept, of each owner the oldest first, a page at a time: gives how many
   * after each page, so that whoever takes the pages decides how fast this goes, and may leave off after any. Their keys
   * stay until they expire, so that no key makes a second call. Costs as much as there are owners, and calls to remove.
   */
  removeCalls(retention: CallRetention): AsyncIterable<number>;
  /**
   * Gives the space of removed calls back to the disk, now rather than when the store next merges its files: of each owner
   * of whom at least so many bytes were removed. It costs as much as there was to remove.
   */
  reclaim(bytes: number): Promise<void>;
  /** Number and bytes of the settled calls that are kept, of an owner or of all. */
  callUsage(owner?: string): Promise<Sum>;
  /** The call, with those of its long parts that have at most `limit` bytes; whole by default. */
  getCall(owner: string, callNum: number, limit?: number): Promise<CallRecord | undefined>;
  /** A part that is kept apart from the call's record; `undefined` if there is none. */
  getCallPart(owner: string, callNum: number, part: CallPart): Promise<Uint8Array | undefined>;
  /**
   * Settled and unsettled calls as they were last stored, with parts of up to `LIST_BYTES`: longer ones stay `apart`, and
   * of a result and of logs the record has the beginning. A query by an unsettled status answers from what is stored
   * as well: `PENDING`, for a running attempt is not stored before it ends.
   */
  listCalls(query: CallQuery): Promise<CallRecord[]>;
  /**
   * Calls that are not settled, oldest first: what a broker takes up again when it starts. Long parts stay `apart`.
   * @param ofRun selects the runs of brokers that wrote the calls last; all by default. A call that was stored before
   * runs had names has the empty one.
   */
  unsettledCalls(ofRun?: (run: string) => boolean): AsyncIterable<CallRecord>;
}

/** The idempotency keys of calls: each is stored with its call by `CallStore.acceptCall`. */
export interface KeyStore {
  /** The call that was last accepted with this key. */
  getKeyedCall(owner: string, key: string): Promise<KeyedCall | undefined>;
  /** Forgets the keys of calls accepted before `time`, epoch ms, until `signal` aborts. The calls stay. */
  expireCallKeys(time: number, signal?: AbortSignal): Promise<void>;
}

/** The outbox: events of calls, which `CallStore.settleCall` stores, until somebody has delivered them. */
export interface EventStore {
  pendingEvents(): AsyncIterable<CallEvent>;
  /** Forgets an event that was delivered. */
  forgetEvent(event: CallEvent): Promise<void>;
}
