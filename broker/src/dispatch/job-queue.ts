import type { Job } from './job.js';
import { Ring, type Linked } from './ring.js';

/** The functions of one owner that have calls waiting and may start one. */
export class OwnerTurn implements Linked<OwnerTurn> {
  readonly name: string;
  readonly functions = new Ring<JobQueue>();
  /** Functions with calls that wait or run. */
  queues = 0;
  /** Calls that run now. */
  running = 0;
  before: OwnerTurn | undefined;
  after: OwnerTurn | undefined;

  constructor(name: string) {
    this.name = name;
  }
}

/** The waiting calls of one function, first come first served; any of them can be taken out in O(1). */
export class JobQueue implements Linked<JobQueue> {
  readonly functionId: string;
  readonly owner: OwnerTurn;
  readonly needsEngine: boolean;
  readonly runtimeKey: string | undefined;
  /** Whether a sandbox stays after a call, for the next one. */
  readonly keepsSandboxes: boolean;
  readonly maxConcurrency: number;
  /** Calls of this function that run now. */
  running = 0;
  /** Smoothed run time in ms; 0 before the first call ended. */
  runMs = 0;
  /** Until when it waits for a sandbox of its own to come free, or waited last, on the scheduler's clock. */
  patientUntil: number | undefined;
  before: JobQueue | undefined;
  after: JobQueue | undefined;
  readonly #jobs = new Map<number, Job>();
  /** Kept for the reason that `Turns` keeps its own. */
  #line = this.#jobs.values();

  constructor(job: Job, owner: OwnerTurn) {
    this.functionId = job.spec.id;
    this.owner = owner;
    this.needsEngine = job.spec.kind === 'image';
    this.runtimeKey = job.spec.kind === 'runtime' ? `runtime:${job.spec.runtime.image}` : undefined;
    this.keepsSandboxes = job.spec.settings.lifecycle !== 'fresh';
    this.maxConcurrency = job.maxConcurrency;
  }

  get waiting(): number {
    return this.#jobs.size;
  }

  /** Whether one of its calls may start now, as far as the function's own limit goes. */
  get runnable(): boolean {
    return this.#jobs.size > 0 && this.running < this.maxConcurrency;
  }

  push(job: Job): void {
    this.#jobs.set(job.callNum, job);
  }

  shift(): Job | undefined {
    if (this.#jobs.size === 0) return undefined;
    let first = this.#line.next();
    if (first.done === true) {
      this.#line = this.#jobs.values();
      first = this.#line.next();
    }
    if (first.done === true) return undefined;
    this.#jobs.delete(first.value.callNum);
    return first.value;
  }

  remove(callNum: number): boolean {
    return this.#jobs.delete(callNum);
  }

  ended(runMs: number | undefined): void {
    this.running--;
    if (runMs !== undefined) this.runMs = this.runMs === 0 ? runMs : 0.8 * this.runMs + 0.2 * runMs;
  }
}
