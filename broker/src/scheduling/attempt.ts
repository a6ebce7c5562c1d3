import type { CallError } from '@panal/protocol';
import type { Outcome } from '@panal/transport';
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
  /**
   * Reads the parameter of an attempt whose job has it `apart`.
   * @throws PanalError STORE_UNAVAILABLE
   */
  params(job: Job): Promise<Uint8Array>;
  /** A piece of the attempt's logs, which stands at `offset` in them, where they are followed. */
  logged(job: Job, offset: number, piece: Uint8Array): void;
  /** Resolves when the result is stored; its worker may then forget it. */
  ended(job: Job, result: AttemptResult): Promise<void>;
  /** The attempt is gone without a result. */
  lost(job: Job, error: CallError): void;
  /**
   * A worker has this attempt, or its outcome, and the broker has not: it is of the broker's earlier life, or its
   * worker was given up too early. The job, if the call still waits for just this attempt; it waits no longer then.
   * What was refused once is refused for good, for its worker forgets it.
   */
  claim(attempt: ParsedLease): Job | undefined;
}

/** What the name of a lease says of its attempt. */
export interface ParsedLease {
  callNum: number;
  attempt: number;
  /** With the number it names the call: one that a crash took before it was stored leaves its number to another. */
  acceptedAt: number;
  /** Which run of the broker gave it out; empty for the one that asks. */
  run: string;
}

/**
 * The name of an attempt: `CALL.ATTEMPT.ACCEPTED.BROKER`, where ACCEPTED is when the call was accepted (epoch ms), and
 * BROKER names the run of the broker that gave the attempt out.
 */
export function leaseOf(job: Job, broker: string): string {
  return `${job.callNum}.${job.attempt}.${job.acceptedAt}.${broker}`;
}

/** @param broker names the run that asks */
export function parseLease(lease: string, broker: string): ParsedLease | undefined {
  const [, callNum, attempt, acceptedAt, run = ''] =
    /^([1-9]\d{0,15})\.([1-9]\d{0,8})\.(\d{1,15})\.(.*)$/s.exec(lease) ?? [];
  if (callNum === undefined) return undefined;
  return {
    callNum: Number(callNum),
    attempt: Number(attempt),
    acceptedAt: Number(acceptedAt),
    run: run === broker ? '' : run,
  };
}
