import { type FunctionSpec, type InputKind } from '@panal/protocol';
import type { LogPiece, Outcome } from '@panal/transport';
import type { Logger } from 'pino';
import {
  endingOf,
  endingOfError,
  internalEnding,
  PREPARED,
  Stopped,
  withOutput,
  type Ending,
} from './ending.js';
import { contractOf } from '../contracts/index.js';
import { LogTap } from './log-tap.js';
import type { Preparation } from './preparation.js';
import { Output } from '../contracts/output.js';
import { PlatformError, Unprepared } from '../errors.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import type { SandboxPool } from '../pool/sandbox-pool.js';
import type { Shelf } from '../pool/shelf.js';

/** One attempt of a call, as the broker gave it. */
export interface Assignment {
  readonly lease: string;
  readonly callNum: number;
  readonly attempt: number;
  readonly spec: FunctionSpec;
  readonly input: InputKind;
  readonly bytes: Uint8Array;
  /** When it came, on the monotonic clock in ms. */
  readonly since: number;
  /** Whether its logs are to be reported as they come. */
  readonly followed: boolean;
}

/** What mini-workers share. */
export interface MiniWorkerContext {
  readonly workerId: string;
  readonly pool: SandboxPool;
  readonly preparation: Preparation;
  /** Most bytes of a result; most bytes of logs kept. */
  readonly maxOutput: number;
  readonly maxLogs: number;
  readonly log: Logger;
  /** The call that is to run next; it waits no longer. */
  readonly next: () => Assignment | undefined;
  /** An attempt has ended. Parts: result, logs. */
  readonly report: (outcome: Outcome, parts: readonly Uint8Array[]) => void;
  /** A followed attempt has logged a piece. */
  readonly onLog: (message: LogPiece, piece: Uint8Array) => void;
}

/** What is under way: the attempt, and how far it came. */
interface Course {
  readonly call: Assignment;
  readonly shelf: Shelf;
  readonly stop: AbortController;
  readonly logs: LogTap;
  /** Of a call that only prepares: what that puts out. */
  readonly output: Output | undefined;
  readonly began: number;
  sandbox: Sandbox | undefined;
  preloaded: boolean;
  reusable: boolean;
  /** Set once it runs. */
  prepareMs: number | undefined;
}

/** A kept sandbox that fails within so many ms was dead when it was taken: the call had not begun. */
const AT_ONCE_MS = 100;

const round = (ms: number): number => Math.round(ms * 1000) / 1000;

/**
 * A cell of the comb: runs one call at a time, from its sandbox to its outcome. `idle` → `preparing` (image, bundle,
 * sandbox) → `running` (the function) → `idle`. Whatever goes wrong ends as an outcome; nothing is thrown.
 */
export class MiniWorker {
  readonly slot: number;
  readonly #context: MiniWorkerContext;
  #course: Course | undefined;
  #stop = new AbortController();
  #serving: Promise<void> = Promise.resolve();

  constructor(slot: number, context: MiniWorkerContext) {
    this.slot = slot;
    this.#context = context;
  }

  get state(): 'idle' | 'preparing' | 'running' {
    if (this.#course === undefined) return 'idle';
    return this.#course.prepareMs === undefined ? 'preparing' : 'running';
  }

  /** The attempt that it has. */
  get lease(): string | undefined {
    return this.#course?.call.lease;
  }

  /** @throws TypeError when it is not idle. */
  begin(call: Assignment): void {
    if (this.#course !== undefined) throw new TypeError(`mini-worker ${this.slot} is busy`);
    const logs = new LogTap();
    const course: Course = {
      call,
      shelf: this.#context.pool.enter(call.spec),
      stop: this.#freshStop(),
      logs,
      output: call.input === 'prepare' ? this.#outputTo(logs) : undefined,
      began: call.since,
      sandbox: undefined,
      preloaded: false,
      reusable: false,
      prepareMs: undefined,
    };
    this.#course = course;
    if (call.followed) this.follow(true);
    this.#serving = this.#serve(course);
  }

  /** Stops the attempt; its outcome still comes. */
  stop(why: Stopped['why']): void {
    this.#course?.stop.abort(new Stopped(why));
  }

  /** Reports the logs of its attempt as they come, from the first byte; or does so no more. */
  follow(on: boolean): void {
    if (this.#course === undefined) return;
    const { call, logs } = this.#course;
    if (!on) {
      logs.unfollow();
      return;
    }
    const { lease, callNum } = call;
    logs.follow((piece, offset) => this.#context.onLog({ type: 'log', lease, callNum, offset }, piece));
  }

  /** Resolves once it is idle. */
  async finished(): Promise<void> {
    while (this.#course !== undefined) await this.#serving;
  }

  #outputTo(logs: LogTap): Output {
    return new Output({
      maxOutput: 0,
      maxLogs: this.#context.maxLogs,
      onLog: (piece) => logs.add(piece),
    });
  }

  /** One serves until it was used: to make one takes longer than all else that begins a call. */
  #freshStop(): AbortController {
    if (this.#stop.signal.aborted) this.#stop = new AbortController();
    return this.#stop;
  }

  async #serve(course: Course): Promise<void> {
    const { report, pool, log } = this.#context;
    const { call, shelf } = course;
    let ending: Ending;
    try {
      ending = await this.#attempt(course);
    } catch (error) {
      ending = this.#endingOfError(error, course);
    }
    let kept = false;
    try {
      kept = pool.leave(shelf, course.sandbox, course.reusable);
    } catch (error) {
      log.error({ err: error, callNum: call.callNum }, 'a mini-worker could not end its call');
    }
    this.#course = undefined;
    // Before the report: the function's process should not wait for what is between this worker and the broker.
    const next = this.#context.next();
    if (next !== undefined) this.begin(next);
    const free = next === undefined ? this.slot : undefined;
    report(this.#outcome(course, ending, kept, free), [ending.result, ending.logs]);
  }

  async #attempt(course: Course): Promise<Ending> {
    const { pool, preparation } = this.#context;
    const { call, shelf, stop, output } = course;
    const onOutput = output && ((piece: Uint8Array): void => output.addLogs(piece));
    const kept = pool.take(shelf);
    if (kept !== undefined) {
      const taken = performance.now();
      try {
        return await this.#run(course, kept);
      } catch (error) {
        const atOnce = performance.now() - taken < AT_ONCE_MS;
        if (!(error instanceof PlatformError && atOnce) || stop.signal.aborted) throw error;
        pool.discard(kept);
        course.logs.clear();
        course.sandbox = course.prepareMs = undefined;
      }
    }
    for (let again = false; ; again = true) {
      try {
        const prepared = await preparation.of(call.spec, stop.signal, onOutput);
        return await this.#run(course, await pool.acquire(shelf, prepared, stop.signal));
      } catch (error) {
        if (course.sandbox === undefined && error instanceof PlatformError) preparation.forget(call.spec.id);
        // It was removed from the cache, or by hand.
        if (!(error instanceof Unprepared) || again) throw error;
      }
    }
  }

  async #run(course: Course, sandbox: Sandbox): Promise<Ending> {
    const { call, stop, output } = course;
    course.sandbox = sandbox;
    course.preloaded = sandbox.preloaded;
    course.prepareMs = performance.now() - course.began;
    if (output !== undefined) return withOutput(await this.#check(course, sandbox), output);
    const input = contractOf(call.spec.settings.lifecycle).input(call.spec, call.input, call.bytes);
    const result = await sandbox.run({
      callNum: call.callNum,
      attempt: call.attempt,
      body: input.body,
      argument: input.argument,
      env: input.env,
      timeoutMs: call.spec.settings.timeoutMs,
      maxOutput: this.#context.maxOutput,
      maxLogs: this.#context.maxLogs,
      signal: stop.signal,
      onLog: (piece) => course.logs.add(piece),
    });
    course.reusable = result.reusable;
    return endingOf(result, stop.signal);
  }

  /** Fails a preparation if its calls would find no program to start. */
  async #check(course: Course, sandbox: Sandbox): Promise<Ending> {
    const { spec } = course.call;
    course.reusable = true;
    const command = contractOf(spec.settings.lifecycle).check(spec);
    const { signal } = course.stop;
    const result = command && (await sandbox.check(command, signal));
    if (result === undefined) return PREPARED;
    course.reusable = result.reusable;
    const refused = result.status === 'CANCELLED' || result.error?.code === 'START_FAILED';
    return refused ? endingOf(result, signal) : PREPARED;
  }

  #endingOfError(error: unknown, { call, stop, output }: Course): Ending {
    const ending = endingOfError(error, stop.signal);
    if (ending !== undefined) return output === undefined ? ending : withOutput(ending, output);
    this.#context.log.error({ err: error, callNum: call.callNum }, 'a mini-worker failed');
    return internalEnding('the worker failed; its log has the cause');
  }

  /** In one literal, with all that it may have: to add to a copy costs several times as much, for each call. */
  #outcome(
    { call, shelf, began, prepareMs, sandbox, preloaded }: Course,
    ending: Ending,
    kept: boolean,
    free: number | undefined,
  ): Outcome {
    const { status, platform, exitCode, error, runMs } = ending;
    const found = call.spec.imageDigest === undefined ? shelf.prepared?.spec : undefined;
    return {
      type: 'outcome',
      lease: call.lease,
      callNum: call.callNum,
      worker: this.#context.workerId,
      status,
      platform,
      exitCode,
      error,
      start: sandbox === undefined ? undefined : call.spec.settings.lifecycle,
      imageDigest: found?.imageDigest,
      preloaded,
      free,
      kept: kept ? true : undefined,
      prepareMs: round(prepareMs ?? performance.now() - began),
      runMs: round(runMs),
    };
  }
}
