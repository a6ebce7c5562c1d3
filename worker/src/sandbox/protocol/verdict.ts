import type { CallError } from '@panal/protocol';
import type { RunRequest, RunResult } from '../sandbox.js';

/** How a call ended, apart from what it wrote. */
export type Verdict = Pick<RunResult, 'status' | 'exitCode' | 'error'>;

/** Why the worker stopped a call. */
export type Stop = 'timeout' | 'cancel' | 'overflow';

/** The process of the call ended by itself with `exitCode`; `text` is a handler's one line about its exception. */
export function exited(exitCode: number, text = ''): Verdict {
  if (exitCode === 0) return { status: 'DONE', exitCode };
  const message = text === '' ? `exited with code ${exitCode}` : text;
  return failed({ code: 'FUNCTION_FAILED', message }, exitCode);
}

/** A signal that Panal did not send ended the process of the call. `exitCode` is 128 + its number. */
export function killed(exitCode: number): Verdict {
  return failed({ code: 'FUNCTION_KILLED', message: `killed by signal ${exitCode - 128}` }, exitCode);
}

/** The worker stopped the call. */
export function stopped(stop: Stop, request: RunRequest): Verdict {
  switch (stop) {
    case 'timeout':
      return { status: 'TIMEOUT', error: { code: 'TIMEOUT', message: `ran past ${request.timeoutMs} ms` } };
    case 'cancel':
      return { status: 'CANCELLED', error: { code: 'CANCELLED', message: 'cancelled' } };
    case 'overflow': {
      const message = `wrote more than ${request.maxOutput} bytes`;
      return { status: 'FAILED', error: { code: 'OUTPUT_TOO_LARGE', message } };
    }
  }
}

/** The call failed for `error`. */
export function failed(error: CallError, exitCode?: number): Verdict {
  return { status: 'FAILED', error, ...(exitCode === undefined ? {} : { exitCode }) };
}

/** What a call that was cancelled before it began gets. */
export function neverRun(request: RunRequest): RunResult {
  const nothing = new Uint8Array(0);
  return { ...stopped('cancel', request), result: nothing, logs: nothing, runMs: 0, reusable: true };
}
