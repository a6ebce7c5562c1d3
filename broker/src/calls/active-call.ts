import type { CallRecord, VersionRecord } from '@panal/db';
import type { Job } from '../dispatch/job.js';

/** A call that is not settled, as the broker has it in memory. */
export class ActiveCall {
  readonly record: CallRecord;
  readonly version: VersionRecord;
  /** The attempt that waits or runs; `undefined` while the call waits for its back-off to end. */
  job: Job | undefined;
  /** Its owner wants it stopped. */
  cancelled = false;
  /** How it ended is being stored; nothing changes that any more. */
  settling = false;
  /** Why it could not be accepted after all. */
  #failure: unknown;
  readonly #waiters = new Set<(settled?: CallRecord) => void>();
  /** On the monotonic clock, in ms: when it was accepted, and since when no worker has it. */
  readonly #acceptedAt: number;
  #queuedSince: number | undefined;
  #queuedMs = 0;

  constructor(record: CallRecord, version: VersionRecord) {
    this.record = record;
    this.version = version;
    this.#acceptedAt = performance.now() - Math.max(0, Date.now() - record.acceptedAt);
    this.#queuedSince = this.#acceptedAt;
  }

  /** Makes the call's next attempt. */
  nextJob(): Job {
    const { callNum, attempts, input, params } = this.record;
    const { spec, settings } = this.version;
    const maxConcurrency = settings.maxConcurrency ?? Infinity;
    return (this.job = { callNum, attempt: attempts + 1, spec, maxConcurrency, input, params });
  }

  started(workerId: string): void {
    const { record } = this;
    record.status = 'RUNNING';
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
  timings(prepare: number, run: number): CallRecord['timings'] {
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
    for (const waiter of this.#waiters) waiter(this.record);
    this.#waiters.clear();
  }

  /** It could not be stored: those who wait are told so. */
  failed(error: unknown): void {
    this.#failure = error;
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  /** Resolves with the record once it is settled. */
  async ended(): Promise<CallRecord | undefined> {
    return await this.wait(Infinity);
  }

  /** Resolves with the settled record, or with `undefined` when `ms` are over or `signal` aborts before that. */
  wait(ms: number, signal?: AbortSignal): Promise<CallRecord | undefined> {
    return new Promise((resolve, reject) => {
      const end = (settled?: CallRecord): void => {
        clearTimeout(timer);
        this.#waiters.delete(end);
        signal?.removeEventListener('abort', aborted);
        if (this.#failure === undefined) resolve(settled);
        else reject(toError(this.#failure));
      };
      const aborted = (): void => end();
      const timer = setTimeout(aborted, Math.min(ms, 2 ** 31 - 1));
      signal?.addEventListener('abort', aborted);
      if (signal?.aborted === true || this.#failure !== undefined) end();
      else this.#waiters.add(end);
    });
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
