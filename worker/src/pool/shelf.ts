import { reusesSandboxes, type FunctionSpec } from '@panal/protocol';
import { asError } from '@panal/support';
import { LEAVE, type Plan } from './preload.js';
import type { Prepared, Sandbox } from '../sandbox/sandbox.js';

/** A sandbox that stands idle. */
export interface IdleSandbox {
  readonly sandbox: Sandbox;
  /** The pool's greedy-dual clock when it came to stand here. */
  readonly since: number;
}

/** A call that waits for a sandbox of its function. */
export interface Waiter {
  /** Monotonic ms. */
  readonly since: number;
  take(sandbox: Sandbox): void;
  fail(error: unknown): void;
}

/** One function in the pool: its sandboxes, those who wait for one, and what evictions are decided by. */
export class Shelf {
  readonly spec: FunctionSpec;
  /** What its sandboxes start from, once that is known. */
  prepared: Prepared | undefined;
  /** The one idle longest first. */
  readonly idle: IdleSandbox[] = [];
  /** First come first. */
  readonly waiters: Waiter[] = [];
  /** Calls between `enter` and `leave`. */
  running = 0;
  /** Sandboxes being started. */
  starting = 0;
  /** Calls since the pool came to know the function. */
  frequency = 0;
  /** What its last start took, in ms. */
  startMs = 0;
  plan: Plan = LEAVE;
  /** How many idle ones the broker believes to stand here. */
  told = 0;
  /** How often it was looked at since anything changed here; `isQuiet` counts. */
  #looks = 0;
  /** The function is gone: nothing is kept for it. */
  retired = false;

  constructor(spec: FunctionSpec) {
    this.spec = spec;
  }

  /** Something of it changed. */
  touch(): void {
    this.#looks = 0;
  }

  /** Whether nothing has changed since it was looked at before; true once, until something changes again. */
  isQuiet(): boolean {
    return this.running === 0 && ++this.#looks === 2;
  }

  /** Whether its sandboxes come back after a call. */
  get reuses(): boolean {
    return reusesSandboxes(this.spec);
  }

  /** Starts that no call waits for. */
  get startingAhead(): number {
    return Math.max(0, this.starting - this.waiters.length);
  }

  /** Whether it has fewer sandboxes for coming calls than its plan says. */
  get isShort(): boolean {
    if (this.prepared === undefined || this.retired) return false;
    const coming = this.reuses ? this.running : 0;
    return this.idle.length + this.startingAhead + coming < this.plan.ahead;
  }

  /** Whether nothing is here, nor comes. */
  get isDone(): boolean {
    return (
      this.running === 0 && this.starting === 0 && this.idle.length === 0 && this.plan.until === Infinity
    );
  }

  /**
   * Waits for a sandbox that somebody gives to `waiters`; `since` is the time.
   * @throws what it is failed with, or the reason of `signal`.
   */
  async wait(since: number, signal: AbortSignal): Promise<Sandbox> {
    signal.throwIfAborted();
    return await new Promise<Sandbox>((resolve, reject) => {
      const waiter: Waiter = {
        since,
        take: (sandbox) => {
          signal.removeEventListener('abort', aborted);
          resolve(sandbox);
        },
        fail: (error) => {
          signal.removeEventListener('abort', aborted);
          reject(asError(error));
        },
      };
      const aborted = (): void => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1);
        waiter.fail(signal.reason);
      };
      signal.addEventListener('abort', aborted, { once: true });
      this.waiters.push(waiter);
    });
  }

  /** Tells the call that waits longest, or holds back where none waits; says whether it told one. */
  startFailed(error: unknown): boolean {
    const waiter = this.waiters.shift();
    if (waiter === undefined) this.holdBack();
    else waiter.fail(error);
    return waiter !== undefined;
  }

  /** Starts nothing ahead for this function before its next call: it would fail, or die, over and over. */
  holdBack(): void {
    this.plan = { ...this.plan, ahead: 0 };
  }

  /** Greedy-dual priority of its sandbox that is idle longest; `undefined` where none is idle. */
  get priority(): number | undefined {
    const oldest = this.idle[0];
    if (oldest === undefined) return undefined;
    return oldest.since + (this.frequency * this.startMs) / this.spec.settings.memoryMb;
  }
}
