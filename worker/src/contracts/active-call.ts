import type { RunRequest, RunResult } from './run.js';
import { Output } from './output.js';
import { stopped, type Stop, type Verdict } from './verdict.js';

/**
 * One call under way: what it wrote so far, its clock, and who waits for it. Has one timer and one listener on the
 * request's signal, and lets go of both when it settles.
 */
export class ActiveCall {
  readonly request: RunRequest;
  readonly output: Output;
  /** Why the worker stopped it, once it did. */
  stop: Stop | undefined;
  readonly #startedAt = performance.now();
  readonly #resolve: (result: RunResult) => void;
  readonly #onStop: (call: ActiveCall) => void;
  readonly #onAbort: () => void;
  #timer: NodeJS.Timeout;
  #settled = false;

  /** `onStop` is called once, when the call is over its time, cancelled, or wrote too much. */
  constructor(request: RunRequest, resolve: (result: RunResult) => void, onStop: (call: ActiveCall) => void) {
    this.request = request;
    this.output = new Output(request);
    this.#resolve = resolve;
    this.#onStop = onStop;
    this.#onAbort = () => this.halt('cancel');
    request.signal.addEventListener('abort', this.#onAbort);
    this.#timer = setTimeout(() => this.halt('timeout'), request.timeoutMs);
  }

  /** Stops the call for `stop`, unless it is stopped or settled already. */
  halt(stop: Stop): void {
    if (this.#settled || this.stop !== undefined) return;
    this.stop = stop;
    clearTimeout(this.#timer);
    this.#onStop(this);
  }

  addResult(piece: Uint8Array): void {
    if (!this.output.addResult(piece)) this.halt('overflow');
  }

  /** Calls `onLate` when a stopped call has not settled `ms` later. */
  settleWithin(ms: number, onLate: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onLate, ms);
  }

  /** Hands the result to whoever waits. What the worker stopped ends as stopped, however its process ended. */
  settle(verdict: Verdict, reusable: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.request.signal.removeEventListener('abort', this.#onAbort);
    const { result, logs } = this.output;
    const ended = this.stop === undefined ? verdict : stopped(this.stop, this.request);
    const { status, exitCode, error } = ended;
    const runMs = performance.now() - this.#startedAt;
    this.#resolve({ status, exitCode, error, result, logs, runMs, reusable });
  }
}
