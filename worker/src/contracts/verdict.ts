import { constants } from 'node:os';
import type { CallError } from '@panal/protocol';
import type { RunRequest, RunResult } from './run.js';

/** How a call ended, apart from what it wrote. */
export type Verdict = Pick<RunResult, 'status' | 'exitCode' | 'error'>;

/** Why the worker stopped a call. */
export type Stop = 'timeout' | 'cancel' | 'overflow';

/** As shells do, 128 + the number of the signal that ended a process is its exit code. */
const SIGNALLED = 128;

/** Signals that end a process unless it handles them, by their numbers. */
const DEADLY = new Map(
  (
    [
      ...([
        'SIGHUP',
        'SIGINT',
        'SIGQUIT',
        'SIGILL',
        'SIGTRAP',
        'SIGABRT',
        'SIGBUS',
        'SIGFPE',
        'SIGKILL',
      ] as const),
      ...([
        'SIGUSR1',
        'SIGSEGV',
        'SIGUSR2',
        'SIGPIPE',
        'SIGALRM',
        'SIGTERM',
        'SIGSTKFLT',
        'SIGXCPU',
      ] as const),
      ...(['SIGXFSZ', 'SIGVTALRM', 'SIGPROF', 'SIGIO', 'SIGPWR', 'SIGSYS'] as const),
    ] as const
  ).map((name) => [constants.signals[name], name]),
);

/**
 * The process of the call ended with `exitCode`; `text` is a handler's one line about its exception. Whether a signal
 * ended a process below a shell, or in a container, its exit code alone says: so it does for all.
 */
export function exited(exitCode: number, text = ''): Verdict {
  if (exitCode === 0) return { status: 'DONE', exitCode };
  if (text === '' && DEADLY.has(exitCode - SIGNALLED)) return killed(exitCode);
  return failed(
    { code: 'FUNCTION_FAILED', message: text === '' ? `exited with code ${exitCode}` : text },
    exitCode,
  );
}

/** A signal that Panal did not send ended the process of the call. `exitCode` is 128 + its number. */
export function killed(exitCode: number): Verdict {
  const signal = exitCode - SIGNALLED;
  const name = DEADLY.get(signal);
  const message = `killed by ${name === undefined ? `signal ${signal}` : `${name} (signal ${signal})`}`;
  return failed({ code: 'FUNCTION_KILLED', message }, exitCode);
}

/** The process that serves calls ended during one, with `exitCode`. */
export function endedDuringCall(exitCode: number): Verdict {
  const { error } = exited(exitCode);
  if (error?.code === 'FUNCTION_KILLED') return failed(error, exitCode);
  return failed(
    { code: 'FUNCTION_FAILED', message: `the function's process exited with code ${exitCode}` },
    exitCode,
  );
}

/** The command of the call could not be started; the exit code is what a shell gives. */
export function notStarted(reason: string): Verdict {
  return failed({ code: 'START_FAILED', message: reason }, startExitCode(reason));
}

/** 127 if something is not there, else 126. */
export const startExitCode = (reason: string): number => (/not found|no such file/i.test(reason) ? 127 : 126);

/** The worker stopped the call. */
export function stopped(stop: Stop, request: RunRequest): Verdict {
  switch (stop) {
    case 'timeout':
      return {
        status: 'TIMEOUT',
        error: { code: 'TIMEOUT', message: `ran past ${request.timeoutMs} ms (timeoutMs of the function)` },
      };
    case 'cancel':
      return { status: 'CANCELLED', error: { code: 'CANCELLED', message: 'cancelled' } };
    case 'overflow': {
      const message = `wrote more than ${request.maxOutput} bytes (FAAS_MAX_OUTPUT of the worker)`;
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
