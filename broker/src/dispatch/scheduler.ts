import { MOST_AHEAD } from '@panal/protocol';
import { Holders, type Holder } from './holders.js';
import { IdleWorkers, type Seat } from './idle-workers.js';
import type { Job } from './job.js';
import { JobQueue, OwnerTurn } from './job-queue.js';
import { Lookahead, type Runner } from './lookahead.js';
import { Ring } from './ring.js';

/** A decision: this call goes to this mini-worker. */
export interface Placement {
  job: Job;
  workerId: string;
  /** `undefined`: whichever comes free next, for all are busy. */
  slot: number | undefined;
}

interface WorkerSeat extends Seat<WorkerSeat>, Holder, Runner {
  draining: boolean;
}

/** A function whose calls take longer than this is not made to wait for a sandbox of its own. */
const SHORT_RUN_MS = 50;

/** How long a call that is handed out ahead may be expected to wait in its worker. */
const AHEAD_MS = 5;

export interface SchedulerOptions {
  /** Most calls at once of an owner; unlimited by default. */
  ownerLimit?: (owner: string) => number;
  /** Milliseconds on a clock that never goes back. */
  now?: () => number;
}

/**
 * Decides which call runs next, and where. A data structure without I/O; each step costs the same however many
 * workers, functions and calls there are.
 *
 * Pull-based, as Hiku (CCGrid 2025): work goes only to mini-workers that offered themselves. Owners take turns, and
 * the functions of an owner take turns, so that a flood starves nobody. The place for a call is, in this order, a
 * worker with an idle sandbox of the function, one with a sandbox of its runtime, the least loaded one.
 *
 * A short function whose sandboxes are all busy waits a moment (twice its run time) for one of them before it takes
 * a place that holds none: starting a sandbox, and evicting another's for it, costs more than the wait.
 *
 * While the calls of one very short function are all that waits, and all mini-workers are busy, some of them go to
 * where others of it run, to begin there as soon as those end.
 */
export class Scheduler {
  readonly #workers = new Map<string, WorkerSeat>();
  readonly #withEngine = new IdleWorkers<WorkerSeat>();
  readonly #withoutEngine = new IdleWorkers<WorkerSeat>();
  readonly #holders = new Holders<WorkerSeat>();
  readonly #queues = new Map<string, JobQueue>();
  readonly #owners = new Map<string, OwnerTurn>();
  readonly #turns = new Ring<OwnerTurn>();
  readonly #patient = new Set<JobQueue>();
  readonly #lookahead = new Lookahead<WorkerSeat>();
  readonly #ownerLimit: (owner: string) => number;
  readonly #now: () => number;
  #waiting = 0;

  constructor(options: SchedulerOptions = {}) {
    this.#ownerLimit = options.ownerLimit ?? (() => Infinity);
    this.#now = options.now ?? (() => performance.now());
  }

  /** Calls that wait for a mini-worker. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether calls of this version wait or run. */
  isBusy(functionId: string): boolean {
    return this.#queues.has(functionId);
  }

  addWorker(id: string, options: { slots: number; hasEngine: boolean }): void {
    this.removeWorker(id);
    this.#workers.set(id, {
      id,
      ...options,
      idleSlots: [],
      holds: new Map(),
      calls: 0,
      callsOf: new Map(),
      draining: false,
      before: undefined,
      after: undefined,
    });
  }

  removeWorker(id: string): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.drainWorker(id);
    this.#holders.remove(worker);
    this.#workers.delete(id);
  }

  /** Gives this worker nothing more. */
  drainWorker(id: string): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.draining = true;
    this.#lookahead.remove(worker);
    const before = worker.idleSlots.length;
    worker.idleSlots.length = 0;
    this.#idleOf(worker).moved(worker, before);
  }

  /** A mini-worker offers itself. An offer that stands already, or of a slot that does not exist, is ignored. */
  offer(workerId: string, slot: number): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined || worker.draining || slot >= worker.slots) return;
    if (worker.idleSlots.includes(slot)) return;
    worker.idleSlots.push(slot);
    this.#idleOf(worker).moved(worker, worker.idleSlots.length - 1);
  }

  /** The worker has so many idle sandboxes for `key`. */
  setHolding(workerId: string, key: string, idle: number): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    this.#holders.set(worker, key, idle);
    if (idle === 0) return;
    const queue = this.#queues.get(key);
    if (queue !== undefined && this.#patient.has(queue)) this.#wake(queue);
  }

  enqueue(job: Job): void {
    const queue = this.#queueOf(job);
    queue.push(job);
    this.#waiting++;
    this.#takeTurns(queue);
  }

  /** Takes a waiting call out; `false` if it does not wait. */
  remove(functionId: string, callNum: number): boolean {
    const queue = this.#queues.get(functionId);
    if (queue?.remove(callNum) !== true) return false;
    this.#waiting--;
    this.#takeTurns(queue);
    return true;
  }

  /**
   * A call that was placed runs no longer. `runMs` is how long its function ran, where it did; `workerId` who had it,
   * if that worker is still there.
   */
  ended(job: Job, { workerId, runMs }: { workerId?: string; runMs?: number | undefined } = {}): void {
    const worker = workerId === undefined ? undefined : this.#workers.get(workerId);
    if (worker !== undefined) this.#lookahead.ended(worker, job.spec.id);
    const queue = this.#queues.get(job.spec.id);
    if (queue === undefined) return;
    queue.ended(runMs);
    queue.owner.running--;
    this.#takeTurns(queue);
  }

  /**
   * Counts a call as running that was not placed here: one that a worker ran already when it said hello.
   * `ended` undoes it.
   */
  adopt(job: Job, workerId: string): void {
    const queue = this.#queueOf(job);
    this.#started(queue);
    this.keep(job, workerId);
  }

  /** A worker that was added anew has a call that was placed on it before. */
  keep(job: Job, workerId: string): void {
    const worker = this.#workers.get(workerId);
    if (worker?.draining === false) this.#lookahead.begun(worker, job.spec.id);
  }

  /** The next decision, or `undefined` when nothing can be placed now. */
  next(): Placement | undefined {
    if (this.#patient.size > 0) this.#wakeExpired();
    for (let tries = this.#turns.size; tries > 0; tries--) {
      const owner = this.#turns.next();
      if (owner === undefined) return undefined;
      if (this.#withEngine.mostIdle === 0 && this.#withoutEngine.mostIdle === 0) return this.#ahead();
      const placement = this.#nextOf(owner);
      if (placement !== undefined) return placement;
    }
    return undefined;
  }

  /** When, on the scheduler's clock, a waiting function gives up its wait: `next` should be asked again then. */
  wakeAt(): number | undefined {
    let first: number | undefined;
    for (const { patientUntil } of this.#patient) {
      if (patientUntil !== undefined && (first === undefined || patientUntil < first)) first = patientUntil;
    }
    return first;
  }

  /** Idle sandboxes by key that a worker said it holds. */
  holdings(workerId: string): ReadonlyMap<string, number> {
    return this.#workers.get(workerId)?.holds ?? new Map<string, number>();
  }

  #nextOf(owner: OwnerTurn): Placement | undefined {
    for (let tries = owner.functions.size; tries > 0; tries--) {
      const queue = owner.functions.next();
      if (queue === undefined) return undefined;
      const worker = this.#placeFor(queue);
      const slot = worker?.idleSlots.pop();
      if (worker === undefined || slot === undefined) continue;
      this.#idleOf(worker).moved(worker, worker.idleSlots.length + 1);
      const placement = this.#take(queue, worker, slot);
      if (placement !== undefined) this.#holders.use(worker, queue.functionId);
      return placement;
    }
    return undefined;
  }

  /** A place behind calls of the same function, where no other function waits. */
  #ahead(): Placement | undefined {
    if (this.#turns.size > 1) return undefined;
    const functions = this.#turns.next()?.functions;
    const queue = functions?.size === 1 ? functions.next() : undefined;
    if (queue?.keepsSandboxes !== true || queue.runMs === 0) return undefined;
    const each = Math.min(MOST_AHEAD, Math.floor(AHEAD_MS / queue.runMs));
    const worker = this.#lookahead.workerFor(queue.functionId, each);
    return worker === undefined ? undefined : this.#take(queue, worker, undefined);
  }

  #take(queue: JobQueue, worker: WorkerSeat, slot: number | undefined): Placement | undefined {
    const job = queue.shift();
    if (job === undefined) return undefined;
    this.#waiting--;
    this.#started(queue);
    this.#lookahead.begun(worker, job.spec.id);
    return { job, workerId: worker.id, slot };
  }

  #placeFor(queue: JobQueue): WorkerSeat | undefined {
    const own = this.#holders.idleOne(queue.functionId);
    if (own !== undefined) return own;
    if (this.#waitsForOwn(queue)) return undefined;
    const withRuntime = queue.runtimeKey === undefined ? undefined : this.#holders.idleOne(queue.runtimeKey);
    if (withRuntime !== undefined) return withRuntime;
    if (queue.needsEngine) return this.#withEngine.leastLoaded();
    const withEngineFirst = this.#withEngine.mostIdle >= this.#withoutEngine.mostIdle;
    return (withEngineFirst ? this.#withEngine : this.#withoutEngine).leastLoaded();
  }

  /** Whether the function should wait for one of its own sandboxes; if so it is out of the turns until then. */
  #waitsForOwn(queue: JobQueue): boolean {
    if (queue.patientUntil !== undefined) return queue.patientUntil > this.#now();
    if (!queue.keepsSandboxes || queue.running === 0 || queue.runMs === 0) return false;
    if (queue.runMs > SHORT_RUN_MS) return false;
    queue.patientUntil = this.#now() + 2 * queue.runMs;
    this.#patient.add(queue);
    queue.owner.functions.leave(queue);
    return true;
  }

  #wakeExpired(): void {
    const now = this.#now();
    for (const queue of this.#patient) {
      if ((queue.patientUntil ?? 0) <= now) this.#wake(queue);
    }
  }

  #wake(queue: JobQueue): void {
    this.#patient.delete(queue);
    this.#takeTurns(queue);
  }

  #started(queue: JobQueue): void {
    queue.running++;
    this.#patient.delete(queue);
    // Its patience is used up until nothing of it waits: a lasting queue needs more sandboxes, not more patience.
    if (queue.waiting === 0) queue.patientUntil = undefined;
    queue.owner.running++;
    this.#takeTurns(queue);
  }

  /** Puts the function and its owner into the turns or takes them out, as their limits and their queues say. */
  #takeTurns(queue: JobQueue): void {
    const owner = queue.owner;
    if (queue.runnable && !this.#patient.has(queue)) owner.functions.join(queue);
    else owner.functions.leave(queue);
    if (queue.waiting === 0 && queue.running === 0) this.#forget(queue);
    const mayRun = owner.functions.size > 0 && owner.running < this.#ownerLimit(owner.name);
    if (mayRun) this.#turns.join(owner);
    else this.#turns.leave(owner);
  }

  #queueOf(job: Job): JobQueue {
    const known = this.#queues.get(job.spec.id);
    if (known !== undefined) return known;
    const name = job.spec.owner;
    const owner = this.#owners.get(name) ?? new OwnerTurn(name);
    this.#owners.set(name, owner);
    owner.queues++;
    const queue = new JobQueue(job, owner);
    this.#queues.set(queue.functionId, queue);
    return queue;
  }

  #forget(queue: JobQueue): void {
    this.#queues.delete(queue.functionId);
    this.#patient.delete(queue);
    if (--queue.owner.queues === 0) this.#owners.delete(queue.owner.name);
  }

  #idleOf(worker: WorkerSeat): IdleWorkers<WorkerSeat> {
    return worker.hasEngine ? this.#withEngine : this.#withoutEngine;
  }
}
