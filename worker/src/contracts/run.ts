import type { CallError } from '@panal/protocol';

/** What one call brings to a sandbox. */
export interface RunRequest {
  callNum: number;
  attempt: number;
  /** What the function gets on stdin, or a handler as params. */
  body: Uint8Array;
  /** Runs instead of the function's own command; no handler takes one. */
  command?: string[] | undefined;
  /** The parameter as last argument, where it can be one. */
  argument: string | undefined;
  /** Added to the environment of the call's process (`FAAS_PARAMS`). */
  env: Readonly<Record<string, string>>;
  timeoutMs: number;
  /** Result bytes after which the call is stopped with `OUTPUT_TOO_LARGE`. */
  maxOutput: number;
  /** Log bytes kept; what comes after is read and dropped, and a marker says so. */
  maxLogs: number;
  /** Aborted when the call is cancelled. */
  signal: AbortSignal;
  /** Is handed each piece of logs as it comes. */
  onLog?: (piece: Uint8Array) => void;
}

/** How a run ended; the process of the call, and what it started, is gone by then. */
export interface RunResult {
  status: 'DONE' | 'FAILED' | 'TIMEOUT' | 'CANCELLED';
  result: Uint8Array;
  logs: Uint8Array;
  exitCode?: number | undefined;
  error?: CallError | undefined;
  runMs: number;
  /** Whether the sandbox may serve another call (of its function, and of a lifecycle that keeps it). */
  reusable: boolean;
}

/** How long a check may take, in ms. If it takes longer, the first call tells. */
const CHECK_MS = 15_000;
const MOST_SAID = 4096;

/** What a sandbox runs to check a program. */
export const checkRequest = (command: string[], signal: AbortSignal): RunRequest => ({
  callNum: 0,
  attempt: 1,
  body: new Uint8Array(0),
  command,
  argument: undefined,
  env: {},
  timeoutMs: CHECK_MS,
  maxOutput: MOST_SAID,
  maxLogs: MOST_SAID,
  signal,
});
