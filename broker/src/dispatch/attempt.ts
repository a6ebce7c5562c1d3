import type { CallError, Outcome } from '@panal/protocol';
import type { Job } from './job.js';

/** How an attempt ended, as its worker reported it. */
export interface AttemptResult {
  outcome: Outcome;
  result: Uint8Array;
  logs: Uint8Array;
}

/** What the dispatcher tells of the attempts it has. Handlers do not throw. */
export interface AttemptEvents {
  /** A worker has the attempt; told again when the worker comes back with it. */
  started(job: Job, workerId: string): void;
  /** A piece of the attempt's logs, which stands at `offset` in them, where they are followed. */
  logged(job: Job, offset: number, piece: Uint8Array): void;
  /** Resolves when the result is stored, so that the worker may forget it. */
  ended(job: Job, result: AttemptResult): Promise<void>;
  /** The attempt is gone without a result. */
  lost(job: Job, error: CallError): void;
  /**
   * A worker says that it has this attempt, which this broker did not give out: it is of the broker's earlier life,
   * or its worker was given up too early. The job, if the call still waits for just this attempt; it waits no longer
   * then.
   */
  claim(callNum: number, attempt: number): Job | undefined;
}

/** The name of an attempt: `CALL.ATTEMPT.BROKER`, where the last part names the run of the broker that gave it out. */
export function leaseOf(job: Job, broker: string): string {
  return `${job.callNum}.${job.attempt}.${broker}`;
}

export function parseLease(lease: string): { callNum: number; attempt: number } | undefined {
  const match = /^([1-9]\d{0,15})\.([1-9]\d{0,8})\./.exec(lease);
  return match === null ? undefined : { callNum: Number(match[1]), attempt: Number(match[2]) };
}
