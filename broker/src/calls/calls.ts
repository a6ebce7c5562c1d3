import type { Logger } from 'pino';
import { isSettled, PanalError, type InputKind } from '@panal/protocol';
import {
  CALL_PARTS,
  copyOfCall,
  LIST_BYTES,
  type CallKey,
  type CallQuery,
  type CallRecord,
  type Store,
  type VersionRecord,
} from '@panal/db';
import { KeyedLock } from '@panal/support';
import { ActiveCall } from './active-call.js';
import { ActiveCalls } from './active-calls.js';
import { admit, type QueueBounds } from './admission.js';
import { Attempts, type AttemptsOptions, type Dispatch } from './attempts.js';
import { CallEvents, type CallSubscriber } from './call-events.js';
import { withoutSlack } from './call-memory.js';
import { CallNumbers } from './call-numbers.js';
import { NOBODY_COUNTS, type CallObserver } from './call-observer.js';
import { KeptVersions } from './kept-versions.js';
import { LogFollowers, type LogFollower } from './log-followers.js';
import { notDead, storePutBack, takeDeadCall } from './put-back.js';
import { leftCalls } from './recovery.js';
import type { RetryPolicy } from './retry.js';

export interface CallsOptions extends QueueBounds {
  store: Pick<Store, 'calls' | 'events' | 'functions'>;
  /** Names this run of the broker. Calls that the store has of other runs are taken up; all by default. */
  run?: string;
  dispatch: Dispatch;
  policy: RetryPolicy;
  /** Milliseconds that calls of an earlier run wait for the workers that may still have them. */
  recoveryMs: number;
  /** The version as it runs now, whatever it was stored with; as it was stored by default. */
  asRun?: (version: VersionRecord) => VersionRecord;
  /** Stores which image a version is bound to; in `store` by default. */
  bindImage?: AttemptsOptions['bindImage'];
  /** Is told of a version that was deleted, when the last call that was accepted with it has ended. */
  onVersionGone?: (version: VersionRecord) => void;
  observer?: CallObserver;
  /** Hear of calls that settle; nobody by default. */
  subscribers?: readonly CallSubscriber[];
  log: Logger;
}

/** How long `cancel` waits for a running call to end, in ms, before it answers with the call as it is. */
const CANCEL_WAIT_MS = 5000;

/**
 * The life of every call: accepted, attempted, tried again, settled.
 *
 * What holds at any moment, and after any crash: no call is accepted before it is stored; every accepted call settles
 * once; only its current attempt settles it; a settled call never changes, but that its owner may put one back that is
 * `DEAD`. `docs/guarantees.md` says which tests attack that.
 */
export class Calls {
  /** What becomes of those that were accepted. */
  readonly attempts: Attempts;
  readonly #options: CallsOptions;
  readonly #active: ActiveCalls;
  readonly #kept: KeptVersions;
  readonly #followers: LogFollowers;
  readonly #observer: CallObserver;
  readonly #putBacks = new KeyedLock();
  readonly #numbers: CallNumbers;
  readonly #events: CallEvents;
  #stopping = false;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#active = new ActiveCalls(options.memoryBytes);
    const { store, log, dispatch, observer = NOBODY_COUNTS, onVersionGone = () => undefined } = options;
    this.#observer = observer;
    this.#numbers = new CallNumbers(store.calls);
    this.#events = new CallEvents({ store, subscribers: options.subscribers ?? [], log });
    this.#kept = new KeptVersions(
      store.functions,
      log,
      (id) => this.#active.version(id) !== undefined,
      onVersionGone,
    );
    this.#followers = new LogFollowers((job, on) => dispatch.follow(job, on));
    this.attempts = new Attempts({
      bindImage: (spec, imageDigest) => store.functions.bindImage(spec, imageDigest),
      ...options,
      store: store.calls,
      settle: (call) => this.#events.settle(call),
      observer,
      active: this.#active,
      followers: this.#followers,
      onGone: (call) => this.#kept.release(call.record.functionId),
    });
  }

  /** Takes up the calls that an earlier run of the broker left. Call it before anything else. */
  async recover(): Promise<void> {
    const { store, run, recoveryMs, log } = this.#options;
    await this.#numbers.open();
    const left = leftCalls(store.calls, {
      run,
      versionOf: (record) => this.#versionOf(record),
      settle: (call) => this.#events.settle(call),
    });
    for await (const call of left) {
      this.#active.add(call);
      this.attempts.submitIn(call, Math.max(recoveryMs, (call.record.notBefore ?? 0) - Date.now()));
    }
    await this.#kept.recover();
    await this.#events.recover();
    if (this.#active.size > 0) log.info({ calls: this.#active.size }, 'took up unsettled calls');
  }

  /** Whether the broker is about to stop. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Says that the broker is about to stop: clients that it cuts off have not gone away from their calls. */
  announceStop(): void {
    this.#stopping = true;
  }

  /** Begins nothing more, and gives back the numbers that no call has. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.attempts.stop();
    await this.#events.stop();
    await this.#numbers.close();
  }

  /** Calls that are not settled. */
  get unsettled(): number {
    return this.#active.size;
  }

  /** Since when the call waits that waits longest for a mini-worker, in epoch ms; those in their back-off do not. */
  waitingSince(): number | undefined {
    return this.#active.waitingSince();
  }

  /** How many calls of an owner's run now. */
  runningOf(owner: string): number {
    return this.#active.runningOf(owner);
  }

  /** Keeps versions that are about to be deleted, by their ids, for the calls that were accepted with them. */
  async keepVersions(ids: readonly string[]): Promise<void> {
    await this.#kept.keep(
      ids.map((id) => this.#active.version(id)).filter((version) => version !== undefined),
    );
  }

  /**
   * Accepts a call. `awaited`: its client hears of it only from `settled`, so that it may start while it is being
   * stored, and whether that failed is told by `settled`; otherwise it is on disk when this resolves. `key`: stored with
   * the call; such a call is never started before it is stored.
   * @throws PanalError QUEUE_FULL, NO_CONTAINER_ENGINE, NO_WORKER_FITS, STORE_UNAVAILABLE, SHUTTING_DOWN; NOT_FOUND if
   * it only prepares its function, and a worker of an earlier version is connected
   */
  async accept(
    version: VersionRecord,
    input: { kind: InputKind; bytes: Uint8Array },
    options: { awaited: boolean; key?: CallKey },
  ): Promise<CallRecord> {
    // Nothing may come between the bounds that let it in and its place among the others.
    while (this.#numbers.empty) await this.#numbers.fill();
    if (this.attempts.stopped)
      throw new PanalError('SHUTTING_DOWN', 'the broker is stopping', { retryAfter: 1 });
    const load = { size: input.bytes.byteLength, prepares: input.kind === 'prepare' };
    admit(version, load, this.#active, this.#options, this.#options.dispatch);
    const { spec } = version;
    const accepted: CallRecord = {
      callNum: this.#numbers.take(),
      owner: spec.owner,
      funcName: spec.name,
      version: spec.version,
      functionId: spec.id,
      input: input.kind,
      params: withoutSlack(input.bytes),
      status: 'PENDING',
      attempts: 0,
      acceptedAt: Date.now(),
    };
    // One object for all calls of a version, however often it was read from the store.
    const call = new ActiveCall(accepted, this.#active.version(spec.id) ?? version);
    this.#active.add(call);
    const inMemory = this.#active.memory.hold(call);
    this.#observer.accepted();
    const { record } = call;
    const { awaited, key } = options;
    if (key !== undefined)
      return await this.#begin(call, this.#options.store.calls.acceptCall(record, { key }));
    // What cannot stay in memory until the call has ended must be on disk before it begins.
    const stored = this.#options.store.calls.acceptCall(record, { lazy: awaited && inMemory });
    if (!awaited || !inMemory) return await this.#begin(call, stored);
    this.attempts.submit(call);
    stored.catch((error: unknown) => this.attempts.forget(call, error));
    return record;
  }

  /**
   * Puts a call back that gave up (`DEAD`): it is `PENDING` again, on disk, when this resolves.
   * @throws PanalError CALL_NOT_FOUND, CALL_NOT_DEAD, VERSION_NOT_FOUND, QUEUE_FULL, NO_CONTAINER_ENGINE,
   * STORE_UNAVAILABLE, SHUTTING_DOWN
   */
  async putBack(owner: string, callNum: number): Promise<CallRecord> {
    // One after the other: whoever comes second finds it put back, or how it ended since.
    return await this.#putBacks.run(String(callNum), async () => {
      if (this.attempts.stopped)
        throw new PanalError('SHUTTING_DOWN', 'the broker is stopping', { retryAfter: 1 });
      const active = this.#active.get(callNum)?.record;
      if (active?.owner === owner) throw notDead(active);
      const { store, dispatch } = this.#options;
      const named = { owner, callNum, now: Date.now() };
      const call = await takeDeadCall(store.calls, named, (record) => this.#versionOf(record));
      admit(
        call.version,
        { size: call.size, prepares: call.record.input === 'prepare' },
        this.#active,
        this.#options,
        dispatch,
      );
      this.#active.add(call);
      this.#active.memory.hold(call);
      this.#observer.accepted();
      const asStored = copyOfCall(call.record);
      await this.#begin(call, storePutBack(store.calls, call.record));
      return asStored;
    });
  }

  /**
   * The settled call, or `undefined` when the wait of `ms` milliseconds ended first, or its client was `gone`.
   * @throws PanalError STORE_UNAVAILABLE where the call could not be stored, and so was never accepted
   */
  async settled(
    record: CallRecord,
    ms: number,
    gone?: (listener: () => void) => void,
  ): Promise<CallRecord | undefined> {
    const call = this.#active.get(record.callNum);
    if (call === undefined) {
      const { owner, callNum, status } = record;
      const ended = isSettled(status) ? record : await this.#options.store.calls.getCall(owner, callNum);
      if (ended === undefined || !isSettled(ended.status))
        throw new PanalError('STORE_UNAVAILABLE', 'the call could not be stored');
      return ended;
    }
    const settled = await call.wait(ms, gone);
    if (settled !== undefined) return settled;
    if (call.settling) return await call.ended();
    // Its client now hears of a call that may not be stored yet.
    await this.#options.store.calls.updateCall(call.record);
    return undefined;
  }

  /** The call, with its long parts of at most `limit` bytes. */
  async get(owner: string, callNum: number, limit = Infinity): Promise<CallRecord | undefined> {
    const active = this.#active.get(callNum)?.record;
    if (active !== undefined) return active.owner === owner ? await this.whole(active, limit) : undefined;
    return await this.#options.store.calls.getCall(owner, callNum, limit);
  }

  async list(query: CallQuery): Promise<CallRecord[]> {
    const ofNow =
      query.status !== undefined && !isSettled(query.status)
        ? this.#active.list(query)
        : (await this.#options.store.calls.listCalls(query)).map(
            (record) => this.#active.get(record.callNum)?.record ?? record,
          );
    return await Promise.all(ofNow.map((record) => this.whole(record, LIST_BYTES)));
  }

  /** The call with those parts, of at most `limit` bytes, that are not in memory. */
  async whole(call: CallRecord, limit = Infinity): Promise<CallRecord> {
    const { owner, callNum, apart = {} } = call;
    const parts = CALL_PARTS.filter((part) => apart[part] !== undefined && apart[part] <= limit);
    if (parts.length === 0) return call;
    const whole = copyOfCall(call);
    for (const part of parts) {
      const bytes = await this.#options.store.calls.getCallPart(owner, callNum, part);
      // It has ended meanwhile, with other logs, or is kept no longer.
      if (bytes === undefined) return (await this.#options.store.calls.getCall(owner, callNum)) ?? call;
      whole[part] = bytes;
      whole.apart = { ...whole.apart, [part]: undefined };
    }
    return whole;
  }

  /**
   * Stops a call, and resolves with it as it is then: `CANCELLED` as a rule, or still `RUNNING` when its worker takes
   * long to stop it.
   * @throws PanalError CALL_NOT_FOUND, CALL_SETTLED
   */
  async cancel(owner: string, callNum: number): Promise<CallRecord> {
    const call = this.#active.get(callNum);
    if (call?.record.owner !== owner) {
      const stored = await this.#options.store.calls.getCall(owner, callNum);
      if (stored === undefined) throw new PanalError('CALL_NOT_FOUND', `there is no call ${callNum}`);
      throw new PanalError('CALL_SETTLED', `call ${callNum} has ended: ${stored.status}`);
    }
    if (call.settling) return await this.whole((await call.ended()) ?? call.record);
    call.record.cancelling = true;
    const waits = call.job === undefined || this.#options.dispatch.withdraw(call.job);
    if (waits) {
      await this.attempts.settleCancelled(call);
    } else if (call.job !== undefined) {
      this.#options.dispatch.cancel(call.job);
      const settled = await call.wait(CANCEL_WAIT_MS);
      // Its owner now hears that it is being stopped: the next broker must know that, too.
      if (settled === undefined && this.attempts.isOpen(call))
        await this.#options.store.calls.updateCall(call.record);
    }
    return await this.whole(call.record);
  }

  /** Stops every call of an owner who is being deleted: as if there had been none. Nothing of them is stored any more. */
  forgetOwner(owner: string): void {
    const gone = new PanalError('CANCELLED', 'the user was deleted');
    for (const call of this.#active.allOf(owner)) this.attempts.forget(call, gone);
  }

  /**
   * Tells `follower` of the call's logs: what is stored so far, then what comes, until the call ends.
   * @returns what stops that
   * @throws PanalError CALL_NOT_FOUND
   */
  async follow(owner: string, callNum: number, follower: LogFollower): Promise<() => void> {
    const call = this.#active.get(callNum);
    const mine = call?.record.owner === owner ? call : undefined;
    if (mine?.record.apart?.logs !== undefined && !mine.settling) {
      const logs = await this.#options.store.calls.getCallPart(owner, callNum, 'logs');
      if (this.attempts.isOpen(mine)) return this.#followers.add(mine, follower, logs);
      // It ended meanwhile, or is about to, and tells those who wait only once.
      return await this.follow(owner, callNum, follower);
    }
    if (mine?.settling === false) return this.#followers.add(mine, follower);
    const ended =
      mine === undefined ? await this.#options.store.calls.getCall(owner, callNum) : await mine.ended();
    if (ended === undefined) throw new PanalError('CALL_NOT_FOUND', `there is no call ${callNum}`);
    if (ended.logs !== undefined) follower.piece(ended.logs);
    follower.end(ended);
    return () => undefined;
  }

  /** The version that a call was accepted with, as it runs now. */
  async #versionOf(record: CallRecord): Promise<VersionRecord | undefined> {
    const version = await this.#kept.versionOf(record);
    return version && (this.#options.asRun?.(version) ?? version);
  }

  /** Lines the call up once it is stored. */
  async #begin(call: ActiveCall, stored: Promise<void>): Promise<CallRecord> {
    try {
      await stored;
    } catch (error) {
      this.attempts.forget(call, error);
      throw error;
    }
    if (this.attempts.isOpen(call)) {
      if (!this.#active.memory.holds(call)) call.dropParams();
      call.dropLogs();
    }
    this.attempts.submit(call);
    return call.record;
  }
}
