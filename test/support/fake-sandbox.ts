import type { Cache } from '../../worker/src/cache/cache-keeper.js';
import type { FunctionSpec, Lifecycle } from '@panal/protocol';
import type { OnOutput } from '../../worker/src/output/on-output.js';
import type { RunRequest, RunResult } from '../../worker/src/contracts/run.js';
import type {
  Blank,
  DriverInfo,
  Prepared,
  Sandbox,
  SandboxDriver,
} from '../../worker/src/sandbox/sandbox.js';

type Step = 'prepare' | 'start' | 'preload' | 'bind' | 'run' | 'remove';

/** What a step does besides being counted: wait at a gate, or throw. */
type Script = (signal: AbortSignal) => Promise<void> | void;

const NOTHING = new Uint8Array(0);

/** A run that gives back what it was given. */
export function echo(request: RunRequest): RunResult {
  return { status: 'DONE', result: request.body, logs: NOTHING, exitCode: 0, runMs: 1, reusable: true };
}

/** A sandbox without a process: `die` ends it as a crash would. */
export class FakeSandbox implements Sandbox {
  readonly id: string;
  readonly spec: FunctionSpec;
  preloaded = false;
  onExit: (() => void) | undefined;
  removed = false;
  runs = 0;
  /** Calls that run in it now; more than one is a fault of the worker. */
  running = 0;
  readonly #driver: FakeDriver;

  constructor(id: string, spec: FunctionSpec, driver: FakeDriver) {
    this.id = id;
    this.spec = spec;
    this.#driver = driver;
  }

  async run(request: RunRequest): Promise<RunResult> {
    this.runs++;
    this.running++;
    this.#driver.mostInOne = Math.max(this.#driver.mostInOne, this.running);
    try {
      await this.#driver.step('run', request.signal);
      return await this.#driver.onRun(request, this);
    } finally {
      this.running--;
    }
  }

  async check(): Promise<RunResult | undefined> {
    return this.#driver.checked;
  }

  async remove(): Promise<void> {
    this.removed = true;
    await this.#driver.step('remove', new AbortController().signal);
  }

  die(): void {
    this.onExit?.();
  }
}

/** A blank without a process; a `bind` that throws is one that failed. */
export class FakeBlank implements Blank {
  readonly id: string;
  readonly like: Prepared;
  onExit: (() => void) | undefined;
  removed = false;
  bound = false;
  readonly #driver: FakeDriver;

  constructor(id: string, like: Prepared, driver: FakeDriver) {
    this.id = id;
    this.like = like;
    this.#driver = driver;
  }

  async bind({ spec }: Prepared): Promise<Sandbox | undefined> {
    try {
      await this.#driver.step('bind', new AbortController().signal);
      this.bound = true;
      return this.#driver.sandbox(spec);
    } catch {
      this.removed = true;
      return undefined;
    }
  }

  async remove(): Promise<void> {
    this.removed = true;
  }

  die(): void {
    this.onExit?.();
  }
}

/**
 * A driver that makes no process. Each step can be scripted: the first script given for it is used up by the first
 * time it is taken, and so on; a step with no script left succeeds at once.
 */
export class FakeDriver implements SandboxDriver {
  readonly counts: Record<Step, number> = { prepare: 0, start: 0, preload: 0, bind: 0, run: 0, remove: 0 };
  readonly blanks: FakeBlank[] = [];
  readonly sandboxes: FakeSandbox[] = [];
  readonly requests: RunRequest[] = [];
  closed = false;
  /** What preparing puts out before anything else. */
  output = '';
  /** What the check of a program finds. */
  checked: RunResult | undefined;
  /** Most calls that ever ran at once in one sandbox. */
  mostInOne = 0;
  /** What a call does once its `run` step is past. */
  onRun: (request: RunRequest, sandbox: FakeSandbox) => RunResult | Promise<RunResult> = echo;
  readonly #scripts: Record<Step, Script[]> = {
    prepare: [],
    start: [],
    preload: [],
    bind: [],
    run: [],
    remove: [],
  };

  /** Scripts the next step of this kind that is not scripted yet. */
  next(step: Step, script: Script): void {
    this.#scripts[step].push(script);
  }

  /** The next step of this kind that is not scripted yet throws. */
  fail(step: Step, error: Error): void {
    this.next(step, () => {
      throw error;
    });
  }

  async step(step: Step, signal: AbortSignal): Promise<void> {
    this.counts[step]++;
    await this.#scripts[step].shift()?.(signal);
  }

  async open(): Promise<DriverInfo> {
    return { sandbox: 'process', path: 'direct', capabilities: [], warnings: [] };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async prepare(spec: FunctionSpec, signal: AbortSignal, onOutput?: OnOutput): Promise<Prepared> {
    if (this.output !== '') onOutput?.(Buffer.from(this.output));
    await this.step('prepare', signal);
    return { spec };
  }

  async start({ spec }: Prepared, _lifecycle: Lifecycle, signal: AbortSignal): Promise<Sandbox> {
    await this.step('start', signal);
    return this.sandbox(spec);
  }

  async preload(like: Prepared, signal: AbortSignal): Promise<Blank> {
    await this.step('preload', signal);
    const blank = new FakeBlank(`b${this.blanks.length}`, like, this);
    this.blanks.push(blank);
    return blank;
  }

  /** One that is started. */
  sandbox(spec: FunctionSpec): FakeSandbox {
    const sandbox = new FakeSandbox(`s${this.sandboxes.length}`, spec, this);
    this.sandboxes.push(sandbox);
    return sandbox;
  }

  caches(): readonly Cache[] {
    return [];
  }

  async reclaim(): Promise<void> {
    // It leaves nothing.
  }
}
