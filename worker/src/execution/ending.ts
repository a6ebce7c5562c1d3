import type { CallError } from '@panal/protocol';
import type { Outcome } from '@panal/transport';
import type { Output } from '../contracts/output.js';
import { FunctionError, PlatformError } from '../errors.js';
import type { RunResult } from '../contracts/run.js';

/** Why a mini-worker stops a call; it is the reason of the call's abort signal. */
export class Stopped extends Error {
  readonly why: 'cancelled' | 'worker stopped';

  constructor(why: Stopped['why']) {
    super(`the call was stopped: ${why}`);
    this.name = 'Stopped';
    this.why = why;
  }
}

/** How an attempt ended, but for what only its mini-worker knows. */
export interface Ending {
  status: Outcome['status'];
  platform: boolean;
  exitCode: number | undefined;
  error: CallError | undefined;
  runMs: number;
  result: Uint8Array;
  logs: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** A worker that stops hands its calls back: they are tried again elsewhere. */
const HANDED_BACK = { code: 'WORKER_LOST', message: 'worker stopped' } as const;

/** The ending of a call that was to prepare its function, and has. */
export const PREPARED: Ending = {
  status: 'DONE',
  platform: false,
  exitCode: undefined,
  error: undefined,
  runMs: 0,
  result: NOTHING,
  logs: NOTHING,
};

/** The ending with all that preparing put out; its own logs follow if they are not the end of that. */
export function withOutput(ending: Ending, output: Output): Ending {
  if (!Buffer.from(output.logs).includes(Buffer.from(ending.logs))) output.addLogs(ending.logs);
  return { ...ending, logs: output.logs };
}

/** The ending that a run makes. */
export function endingOf(run: RunResult, signal: AbortSignal): Ending {
  const { status, exitCode, error, runMs, result, logs } = run;
  if (status === 'CANCELLED' && isHandedBack(signal)) {
    return { status: 'FAILED', platform: true, exitCode: undefined, error: HANDED_BACK, runMs, result, logs };
  }
  return { status, platform: false, exitCode, error, runMs, result, logs };
}

/** The ending that an error makes which came before, or instead of, a run; `undefined` if it is none of those known. */
export function endingOfError(error: unknown, signal: AbortSignal): Ending | undefined {
  if (isHandedBack(signal)) return failed(true, HANDED_BACK);
  if (signal.aborted) {
    const cancelled = { code: 'CANCELLED', message: 'the call was cancelled' } as const;
    return { ...failed(false, cancelled), status: 'CANCELLED' };
  }
  if (error instanceof PlatformError) return failed(true, error.error);
  if (error instanceof FunctionError) {
    return { ...failed(false, error.error), logs: error.logs, exitCode: error.exitCode };
  }
  return undefined;
}

/** The ending of a call that a fault of the worker's own ended; the log has the cause. */
export function internalEnding(message: string): Ending {
  return failed(true, { code: 'INTERNAL', message });
}

function failed(platform: boolean, error: CallError): Ending {
  return { status: 'FAILED', platform, exitCode: undefined, error, runMs: 0, result: NOTHING, logs: NOTHING };
}

function isHandedBack({ reason }: AbortSignal): boolean {
  return reason instanceof Stopped && reason.why === 'worker stopped';
}
