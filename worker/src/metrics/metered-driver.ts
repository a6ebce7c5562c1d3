import type { FunctionSpec, Lifecycle } from '@panal/protocol';
import { Histogram, type MetricSet } from '@panal/protocol/metrics';
import type { Cache } from '../cache/cache-keeper.js';
import { FunctionError } from '../errors.js';
import type { OnOutput } from '../output/on-output.js';
import type { Blank, DriverInfo, Prepared, Sandbox, SandboxDriver } from '../sandbox/sandbox.js';

/** What a driver is asked to do that takes time. */
const STEPS = ['prepare', 'start', 'preload', 'bind'] as const;
type Step = (typeof STEPS)[number];

/** How that ends: it failed by the platform's fault, by the function's (refused), or was given up (stopped). */
const ENDS = ['ok', 'failed', 'refused', 'stopped'] as const;
type End = (typeof ENDS)[number];

/** A driver, and counts of what it was asked for. */
export class MeteredDriver implements SandboxDriver {
  readonly #driver: SandboxDriver;
  readonly #counts = new Map<string, number>();
  readonly #seconds: Record<Step, Histogram> = {
    prepare: new Histogram(),
    start: new Histogram(),
    preload: new Histogram(),
    bind: new Histogram(),
  };
  readonly preload?: (like: Prepared, signal: AbortSignal) => Promise<Blank>;

  constructor(driver: SandboxDriver) {
    this.#driver = driver;
    // A driver without blanks has none when it is metered.
    const preload = driver.preload?.bind(driver);
    if (preload === undefined) return;
    this.preload = async (like, signal) =>
      this.#metered(await this.#timed('preload', () => preload(like, signal), signal));
  }

  async open(): Promise<DriverInfo> {
    return await this.#driver.open();
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  async prepare(spec: FunctionSpec, signal: AbortSignal, onOutput?: OnOutput): Promise<Prepared> {
    return await this.#timed('prepare', () => this.#driver.prepare(spec, signal, onOutput), signal);
  }

  async start(prepared: Prepared, lifecycle: Lifecycle, signal: AbortSignal): Promise<Sandbox> {
    return await this.#timed('start', () => this.#driver.start(prepared, lifecycle, signal), signal);
  }

  async reclaim(): Promise<void> {
    await this.#driver.reclaim();
  }

  caches(): readonly Cache[] {
    return this.#driver.caches();
  }

  addTo(metrics: MetricSet): void {
    metrics.counter(
      'panal_sandbox_steps_total',
      'What sandboxes need: image and code of a function (prepare), a sandbox of it (start), one of no function yet ' +
        '(preload), which becomes one of a function (bind). result: failed by the platform, refused for the ' +
        "function's own fault, or stopped for nobody waited any more.",
      ['step', 'result'],
      () =>
        STEPS.flatMap((step) =>
          ENDS.map((result) => [{ step, result }, this.#counts.get(`${step} ${result}`) ?? 0] as const),
        ),
    );
    metrics.histogram(
      'panal_sandbox_step_seconds',
      'How long they took that succeeded.',
      'step',
      this.#seconds,
    );
  }

  /** The blank, whose binding is counted too. */
  #metered(blank: Blank): Blank {
    const bind = blank.bind.bind(blank);
    blank.bind = async (prepared) => {
      const began = performance.now();
      const sandbox = await bind(prepared);
      this.#ended('bind', sandbox === undefined ? 'failed' : 'ok', began);
      return sandbox;
    };
    return blank;
  }

  async #timed<T>(step: Step, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const began = performance.now();
    try {
      const made = await work();
      this.#ended(step, 'ok', began);
      return made;
    } catch (error) {
      this.#ended(
        step,
        signal.aborted ? 'stopped' : error instanceof FunctionError ? 'refused' : 'failed',
        began,
      );
      throw error;
    }
  }

  #ended(step: Step, end: End, began: number): void {
    const key = `${step} ${end}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    if (end === 'ok') this.#seconds[step].observe((performance.now() - began) / 1000);
  }
}
