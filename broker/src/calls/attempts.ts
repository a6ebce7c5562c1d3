import type { Logger } from 'pino';
import { baseImageOf, isImageOf, PanalError, type CallError, type FunctionSpec } from '@panal/protocol';
import { copyOfCall, type CallRecord, type CallStore } from '@panal/db';
import type { AttemptEvents, AttemptResult, ParsedLease } from '../scheduling/attempt.js';
import type { Job } from '../scheduling/job.js';
import type { ActiveCall } from './active-call.js';
import type { ActiveCalls } from './active-calls.js';
import type { CallHosts } from './admission.js';
import { TimerHeap } from './timer-heap.js';
import type { CallObserver } from './call-observer.js';
import type { LogFollowers } from './log-followers.js';
import { afterAttempt, type AttemptEnd, type RetryPolicy } from './retry.js';
import { untilStored } from './until-stored.js';

/** What the life of a call needs of whoever brings calls to workers. */
export interface Dispatch extends CallHosts {
  submit(job: Job): void;
  withdraw(job: Job): boolean;
  cancel(job: Job): void;
  /** Asks for the logs of an attempt that runs, from their first byte; or wants no more of them. */
  follow(job: Job, on: boolean): void;
}

export interface AttemptsOptions {
  store: Pick<CallStore, 'updateCall' | 'getCallPart'>;
  /** Stores a settled call. */
  settle: (call: CallRecord) => Promise<void>;
  dispatch: Dispatch;
  policy: RetryPolicy;
  /** Stores which image a version is bound to; resolves with the one that was stored first. */
  bindImage: (spec: FunctionSpec, imageDigest: string) => Promise<string>;
  active: ActiveCalls;
  followers: LogFollowers;
  observer: CallObserver;
  /** A call is no longer among the active ones. */
  onGone: (call: ActiveCall) => void;
  log: Logger;
}

/** What an attempt showed of its call: where it did not, what is known from earlier ones stays. */
type Seen = Pick<CallRecord, 'logs' | 'preloaded' | 'exitCode' | 'start' | 'error'>;

/** What only the attempt that settles a call has. Times in ms. */
interface Ran {
  result: CallRecord['result'];
  prepareMs: number;
  runMs: number;
}

const NEVER_RAN: Ran = { result: undefined, prepareMs: 0, runMs: 0 };

/** What becomes of a call that was accepted: its attempts, one after the other, until it settles. */
export class Attempts implements AttemptEvents {
  readonly #options: AttemptsOptions;
  readonly #active: ActiveCalls;
  readonly #followers: LogFollowers;
  readonly #observer: CallObserver;
  readonly #timers = new TimerHeap<ActiveCall>((call) => this.submit(call));
  #stopped = false;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#active = options.active;
    this.#followers = options.followers;
    this.#observer = options.observer;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Begins nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#timers.stop();
  }

  /** Lines up the call's next attempt. */
  submit(call: ActiveCall): void {
    if (this.#stopped || call.job !== undefined || !this.isOpen(call)) return;
    if (!call.cancelled) return this.#options.dispatch.submit(call.nextJob());
    this.settleCancelled(call).catch((error: unknown) =>
      this.#options.log.error({ err: error }, 'a cancelled call was not stored'),
    );
  }

  /** Does so in `ms` milliseconds. */
  submitIn(call: ActiveCall, ms: number): void {
    this.#timers.set(call, ms);
  }

  /** Settles a call that no worker has. */
  async settleCancelled(call: ActiveCall): Promise<void> {
    const error: CallError = { code: 'CANCELLED', message: 'cancelled before it ran' };
    await this.#settle(call, 'CANCELLED', { error });
  }

  /** Whether nothing is decided yet of how it ends. */
  isOpen(call: ActiveCall): boolean {
    return this.#isActive(call) && !call.settling;
  }

  /** A call whose record could not be stored: as if it had never been. */
  forget(call: ActiveCall, error: unknown): void {
    this.#remove(call);
    this.#observer.forgotten();
    call.failed(error);
    this.#followers.callEnded(call.record);
    if (call.job !== undefined && !this.#options.dispatch.withdraw(call.job))
      this.#options.dispatch.cancel(call.job);
  }

  started(job: Job, workerId: string): void {
    const call = this.#active.get(job.callNum);
    if (call === undefined) return;
    this.#active.started(call, workerId);
    this.#followers.started(job);
  }

  async params({ callNum, spec }: Job): Promise<Uint8Array> {
    const params = await this.#options.store.getCallPart(spec.owner, callNum, 'params');
    if (params === undefined) throw new PanalError('STORE_UNAVAILABLE', 'the parameter is not in the store');
    return params;
  }

  logged(job: Job, offset: number, piece: Uint8Array): void {
    this.#followers.logged(job, offset, piece);
  }

  async ended(job: Job, { outcome, result, logs }: AttemptResult): Promise<void> {
    const call = this.#current(job);
    if (call === undefined) return;
    this.#followers.attemptEnded(job.callNum, logs);
    if (outcome.returned === true) {
      this.#takeBack(call);
      return;
    }
    await this.#bindImage(call, outcome.imageDigest);
    // Its owner was deleted meanwhile: nothing of the call is stored any more.
    if (!this.#isActive(call)) return;
    const { exitCode, start, preloaded, error, prepareMs, runMs } = outcome;
    const seen: Seen = { logs, preloaded, exitCode, start, error };
    const step = this.#nextStep(call, outcome);
    if ('retryInMs' in step) await this.#retry(call, step.retryInMs, seen);
    else await this.#settle(call, step.settle, seen, { result, prepareMs, runMs });
  }

  /** Later attempts of the version run the image that this one has found, unless an earlier one had found another. */
  async #bindImage(call: ActiveCall, imageDigest: string | undefined): Promise<void> {
    const { spec } = call.version;
    if (imageDigest === undefined || spec.imageDigest !== undefined) return;
    // One worker must not lead all others to an image of another name.
    if (!isImageOf(baseImageOf(spec), imageDigest)) return;
    // At once, for all calls of the version: those that wait go to other workers while this is being stored.
    spec.imageDigest = imageDigest;
    await this.#stored(
      () => this.#isActive(call),
      async () => {
        spec.imageDigest = await this.#options.bindImage(spec, imageDigest);
      },
    );
  }

  lost(job: Job, error: CallError): void {
    const call = this.#current(job);
    if (call === undefined) return;
    const step = this.#nextStep(call, { status: 'FAILED', platform: true, error });
    const done =
      'retryInMs' in step
        ? this.#retry(call, step.retryInMs, { error })
        : this.#settle(call, step.settle, { error });
    done.catch((cause: unknown) => this.#options.log.error({ err: cause }, 'a lost attempt was not stored'));
  }

  claim(named: ParsedLease): Job | undefined {
    const call = this.#active.get(named.callNum);
    if (call?.record.status !== 'PENDING' || call.settling || !call.mayBe(named)) return undefined;
    if (call.job !== undefined && !this.#options.dispatch.withdraw(call.job)) return undefined;
    return call.takeUp(named);
  }

  /** Whether it has not ended; another one of its number, which was put back since, is not the same. */
  #isActive(call: ActiveCall): boolean {
    return this.#active.get(call.record.callNum) === call;
  }

  #current(job: Job): ActiveCall | undefined {
    const call = this.#active.get(job.callNum);
    return call?.job === job ? call : undefined;
  }

  #nextStep(call: ActiveCall, end: AttemptEnd): ReturnType<typeof afterAttempt> {
    // An attempt that nobody waited for was stopped, and then became the current one again.
    const stopped = end.status === 'CANCELLED' && !call.cancelled;
    const ended: AttemptEnd = stopped ? { ...end, status: 'FAILED', platform: true } : end;
    const step = afterAttempt(
      ended,
      call.attemptsOfThisLife,
      this.#options.policy,
      // A function that cannot be prepared now cannot be a moment later.
      call.record.input === 'prepare' ? undefined : call.version.settings.retry,
    );
    return call.cancelled && !('settle' in step) ? { settle: 'CANCELLED' } : step;
  }

  /** An attempt that did not begin is made anew, at once. */
  #takeBack(call: ActiveCall): void {
    call.returned();
    this.#active.queued(call);
    this.submit(call);
  }

  async #retry(call: ActiveCall, ms: number, seen: Seen): Promise<void> {
    this.#observer.retried();
    note(call.record, seen);
    call.job = undefined;
    this.#active.queued(call);
    call.record.notBefore = Date.now() + ms;
    // Set before the store answers: that a crash forgets this attempt costs one attempt more, no call.
    this.#timers.set(call, ms);
    const { logs } = call.record;
    // Once a later attempt has settled the call, this must not be written over that.
    await this.#stored(
      () => this.isOpen(call),
      () => this.#options.store.updateCall(call.record),
    );
    if (this.isOpen(call) && call.record.logs === logs) call.dropLogs();
  }

  async #settle(
    call: ActiveCall,
    status: CallRecord['status'],
    seen: Seen,
    { result, prepareMs, runMs }: Ran = NEVER_RAN,
  ): Promise<void> {
    if (call.settling) return;
    call.settling = true;
    call.job = undefined;
    const settled = copyOfCall(call.record);
    note(settled, seen);
    settled.status = status;
    settled.settledAt = Date.now();
    settled.result = result;
    settled.timings = call.timings(prepareMs, runMs);
    settled.notBefore = settled.cancelling = undefined;
    await this.#stored(
      () => this.#isActive(call),
      () => this.#options.settle(settled),
    );
    // Its owner was deleted meanwhile: who waited for it knows.
    if (!this.#isActive(call)) return;
    this.#remove(call);
    // Not before it is stored: a crash now must not take back what somebody has seen.
    call.record = settled;
    this.#observer.settled(settled, call.version);
    call.settled();
    this.#followers.callEnded(settled);
  }

  #remove(call: ActiveCall): void {
    this.#timers.cancel(call);
    this.#active.remove(call);
    this.#options.onGone(call);
  }

  /** @param wanted not where not even the call's acceptance could be stored, and its client knows. */
  async #stored(wanted: () => boolean, write: () => Promise<void>): Promise<void> {
    await untilStored(write, { stopped: () => this.#stopped, wanted, log: this.#options.log });
  }
}

function note(record: CallRecord, { logs, preloaded, exitCode, start, error }: Seen): void {
  if (logs !== undefined) {
    record.logs = logs;
    // Those of this attempt take the place of earlier ones.
    if (record.apart?.logs !== undefined) record.apart = { ...record.apart, logs: undefined };
  }
  record.preloaded = preloaded ?? record.preloaded;
  record.exitCode = exitCode ?? record.exitCode;
  record.start = start ?? record.start;
  record.error = error ?? record.error;
}
