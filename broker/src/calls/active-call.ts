import { copyOfCall, INLINE_BYTES, sizeOfPart, type CallRecord, type VersionRecord } from '@panal/db';
import type { ParsedLease } from '../scheduling/attempt.js';
import type { Job } from '../scheduling/job.js';
import { withoutLongParts } from './long-parts.js';

const NOTHING = new Uint8Array(0);

/** A call that is not settled, as the broker has it in memory. */
export class ActiveCall {
  /** Once it is settled, and that is stored, another: what says how a call ended changes no more. */
  record: CallRecord;
  readonly version: VersionRecord;
  /** The attempt that waits or runs; `undefined` while the call waits for its back-off to end. */
  job: Job | undefined;
  /** Which run of the broker gave out the attempt that began last; empty for this one, undefined before the first. */
  #run: string | undefined;
  /** The same of the attempt that waits or runs. */
  #nextRun = '';
  /** How it ended is being stored; nothing changes that any more. */
  settling = false;
  /** Why it could not be accepted after all. */
  #failure: unknown;
  /** Made with the first: a broker may take up very many calls that nobody waits for. */
  #waiters: Set<(settled?: CallRecord) => void> | undefined;
  /** On the monotonic clock, in ms: when it was accepted (or put back), and since when no worker has it. */
  readonly #acceptedAt: number;
  #queuedSince: number | undefined;
  #queuedMs = 0;
  /** Attempts of this life that were handed back before they began. */
  #returns = 0;

  constructor(record: CallRecord, version: VersionRecord) {
    this.record = copyOfCall(record);
    this.version = version;
    const since = record.putBack?.at ?? record.acceptedAt;
    this.#acceptedAt = performance.now() - Math.max(0, Date.now() - since);
    this.#queuedSince = this.#acceptedAt;
  }

  /** Whether its owner wants it stopped. */
  get cancelled(): boolean {
    return this.record.cancelling === true;
  }

  /** Attempts begun since it was accepted, or last put back, as far as this broker knows. */
  get attemptsOfThisLife(): number {
    return this.record.attempts - (this.record.putBack?.attempts ?? 0) - this.#returns;
  }

  /** The attempt that a worker had has not begun. Its number is not used again. */
  returned(): void {
    this.job = undefined;
    this.#returns++;
  }

  /** Bytes of its parameter, in memory or not. */
  get size(): number {
    return sizeOfPart(this.record, 'params');
  }

  /** Whether it has parts in memory that are stored apart from its record. */
  get hasLongParts(): boolean {
    const { params, logs } = this.record;
    return params.byteLength > INLINE_BYTES.params || (logs?.byteLength ?? 0) > INLINE_BYTES.logs;
  }

  /** Lets go of the parameter, which is stored apart from the record. */
  dropParams(): void {
    const { record, size } = this;
    if (record.params.byteLength <= INLINE_BYTES.params) return;
    record.apart = { ...record.apart, params: size };
    record.params = NOTHING;
  }

  /** Lets go of the logs of earlier attempts, which are stored apart from the record. */
  dropLogs(): void {
    const { record } = this;
    if (record.logs === undefined || record.logs.byteLength <= INLINE_BYTES.logs) return;
    record.apart = { ...record.apart, logs: sizeOfPart(record, 'logs') };
    record.logs = undefined;
  }

  /** Makes the call's next attempt. */
  nextJob(): Job {
    const { callNum, attempts, acceptedAt, input, params } = this.record;
    const apart = this.record.apart?.params !== undefined;
    const { spec, settings } = this.version;
    const maxConcurrency = settings.maxConcurrency ?? Infinity;
    this.#nextRun = '';
    const attempt = attempts + 1;
    return (this.job = { callNum, attempt, acceptedAt, spec, maxConcurrency, input, params, apart });
  }

  /** Whether this attempt, which comes back to the broker, is the last one that began, as far as is known. */
  mayBe({ attempt, acceptedAt, run }: ParsedLease): boolean {
    const { record } = this;
    if (acceptedAt !== record.acceptedAt) return false;
    // Before one has begun in this run: one may have that an earlier run did not live to write down.
    return this.#run === undefined
      ? attempt >= record.attempts
      : attempt === record.attempts && run === this.#run;
  }

  /** Goes on with an attempt that came back. */
  takeUp({ attempt, run }: ParsedLease): Job {
    this.record.attempts = attempt - 1;
    const job = this.nextJob();
    this.#nextRun = run;
    return job;
  }

  started(workerId: string): void {
    const { record } = this;
    this.#run = this.#nextRun;
    record.status = 'RUNNING';
    // Why an earlier attempt failed is not why this one ends.
    record.error = record.exitCode = undefined;
    record.attempts = this.job?.attempt ?? record.attempts + 1;
    record.worker = workerId;
    if (this.#queuedSince !== undefined) this.#queuedMs += performance.now() - this.#queuedSince;
    this.#queuedSince = undefined;
  }

  /** No worker has it any more. */
  queued(): void {
    this.record.status = 'PENDING';
    this.#queuedSince ??= performance.now();
  }

  /** Times in ms up to now, which is when the call settles. */
  timings(prepare: number, run: number): NonNullable<CallRecord['timings']> {
    const now = performance.now();
    const queued = this.#queuedMs + (this.#queuedSince === undefined ? 0 : now - this.#queuedSince);
    const round = (ms: number): number => Math.round(ms * 1000) / 1000;
    return {
      queued: round(queued),
      prepare: round(prepare),
      run: round(run),
      total: round(now - this.#acceptedAt),
    };
  }

  /** Hands the settled record to all who wait. */
  settled(): void {
    const { record } = this;
    // Clients that are slow to take their answers keep this call in memory.
    this.record = withoutLongParts(record);
    for (const waiter of this.#waiters ?? []) waiter(record);
    this.#waiters = undefined;
  }

  /** It could not be stored: those who wait are told so. */
  failed(error: unknown): void {
    this.#failure = error;
    for (const waiter of this.#waiters ?? []) waiter();
    this.#waiters = undefined;
  }

  /** Resolves with the record once it is settled. */
  async ended(): Promise<CallRecord | undefined> {
    return await this.wait(Infinity);
  }

  /**
   * Resolves with the settled record, or with `undefined` when `ms` are over before that, or whoever waits is `gone`:
   * it is handed a listener.
   */
  wait(ms: number, gone?: (listener: () => void) => void): Promise<CallRecord | undefined> {
    return new Promise((resolve, reject) => {
      const end = (settled?: CallRecord): void => {
        clearTimeout(timer);
        this.#waiters?.delete(end);
        if (this.#failure === undefined) resolve(settled);
        else reject(toError(this.#failure));
      };
      const timer = setTimeout(end, Math.min(ms, 2 ** 31 - 1));
      (this.#waiters ??= new Set()).add(end);
      if (this.#failure !== undefined) end();
      else gone?.(() => end());
    });
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
