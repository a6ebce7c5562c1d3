import { reusesSandboxes, runtimeOf } from '@panal/protocol';
import type { Job } from './job.js';
import { Heap } from './heap.js';
import { RoundRobin, type Linked } from './round-robin.js';

/** An owner with calls that wait or run. */
export class Owner {
  readonly name: string;
  /** Functions with calls that wait or run. */
  queues = 0;
  /** Calls that run now. */
  running = 0;
  #lane: Lane | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Where its functions wait that need a container engine, or those that do not. */
  lane(needsEngine: boolean): Lane {
    const first = (this.#lane ??= new Lane(this, needsEngine));
    if (first.needsEngine === needsEngine) return first;
    const second = (first.other ??= new Lane(this, needsEngine));
    second.other = first;
    return second;
  }
}

/** The functions of one owner that have calls waiting and may start one, on workers of the same kind. */
export class Lane {
  readonly owner: Owner;
  readonly needsEngine: boolean;
  /** The other one of this owner, if there is one. */
  other: Lane | undefined;
  /** Those that take turns. */
  readonly functions = new RoundRobin<JobQueue>();
  /** Those for which no worker had enough memory left, the smallest first. */
  readonly parked = new Heap<JobQueue>(smaller);
  /** Whether its owner may run one call more. */
  mayRun = true;
  /** Its place among all, and among those of owners that run nothing. */
  readonly turn = new Turn(this);
  readonly firstTurn = new Turn(this);

  constructor(owner: Owner, needsEngine: boolean) {
    this.owner = owner;
    this.needsEngine = needsEngine;
  }
}

/** Which of two parked functions is first: the smaller one, and of two that are as large the one parked first. */
export function smaller(a: JobQueue, b: JobQueue): boolean {
  return a.memoryMb < b.memoryMb || (a.memoryMb === b.memoryMb && a.parkedAs < b.parkedAs);
}

/** The place of something in a `RoundRobin`. */
export class Turn<T = Lane> implements Linked<Turn<T>> {
  readonly of: T;
  before: Turn<T> | undefined;
  after: Turn<T> | undefined;

  constructor(of: T) {
    this.of = of;
  }
}

/** The waiting calls of one function, first come first served; any of them can be taken out in O(1). */
export class JobQueue implements Linked<JobQueue> {
  readonly functionId: string;
  readonly lane: Lane;
  /** Memory of each of its calls, in MiB. */
  readonly memoryMb: number;
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
  /** The number under which it was parked last. */
  parkedAs = 0;
  /** How many calls had begun when it was parked first since one of its own began. */
  passedSince: number | undefined;
  readonly passed = new Turn<JobQueue>(this);
  before: JobQueue | undefined;
  after: JobQueue | undefined;
  readonly #jobs = new Map<number, Job>();
  /** Kept for the reason that `SharedRoundRobin` keeps its own. */
  #line = this.#jobs.values();

  constructor(job: Job, lane: Lane) {
    this.functionId = job.spec.id;
    this.lane = lane;
    this.memoryMb = job.spec.settings.memoryMb;
    const runtime = runtimeOf(job.spec);
    this.runtimeKey = runtime && `runtime:${runtime.image}`;
    this.keepsSandboxes = reusesSandboxes(job.spec);
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
