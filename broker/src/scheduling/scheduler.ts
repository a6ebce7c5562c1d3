import { requires } from '@panal/protocol';
import type { Job } from './job.js';
import { JobQueue, Owner, type Lane, type Turn } from './job-queue.js';
import { Parked } from './parked.js';
import { Reservations } from './reservations.js';
import { RoundRobin } from './round-robin.js';
import { Seats, type WorkerSeat } from './seats.js';
import { NONE } from './tournament.js';
import type { Spare } from './worker-group.js';

/** A decision: this call goes to this mini-worker. */
export interface Placement {
  job: Job;
  workerId: string;
  /** `undefined`: whichever comes free next, for all are busy but those that are spared. */
  slot: number | undefined;
  /** How many mini-workers stand idle there that are not for this call, if any. */
  spared?: number;
}

/** A function whose calls take longer than this is not made to wait for a sandbox of its own. */
const SHORT_RUN_MS = 50;

export interface SchedulerOptions {
  /** Most calls at once of an owner; unlimited by default. */
  ownerLimit?: (owner: string) => number;
  /** What owners that run calls have to leave to those that run none; by default nothing. */
  spare?: () => Spare | undefined;
  /** Milliseconds on a clock that never goes back. */
  now?: () => number;
}

/**
 * Decides which call runs next, and where. A data structure without I/O; each step costs the same however many functions
 * and calls there are, and grows with the logarithm of the number of workers and of functions that wait for memory.
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
 *
 * The calls of a worker together take no more memory than it has. A function for which no worker has enough left is
 * parked, and others run meanwhile; but once as many calls as there are mini-workers have begun since, a worker is
 * reserved for it. An owner that runs calls leaves a mini-worker idle (`spare`), so that a call of another owner begins
 * at once, however long those calls run.
 */
export class Scheduler {
  readonly #seats = new Seats();
  readonly #queues = new Map<string, JobQueue>();
  readonly #owners = new Map<string, Owner>();
  readonly #turns = new RoundRobin<Turn>();
  /** Of these the lanes of owners that run nothing. */
  readonly #firstTurns = new RoundRobin<Turn>();
  readonly #parked = new Parked();
  readonly #reservations = new Reservations(this.#seats, this.#parked);
  readonly #patient = new Set<JobQueue>();
  readonly #ownerLimit: (owner: string) => number;
  readonly #spare: () => Spare | undefined;
  readonly #now: () => number;
  /** Calls that have begun so far. */
  #begun = 0;
  #waiting = 0;

  constructor(options: SchedulerOptions = {}) {
    this.#ownerLimit = options.ownerLimit ?? (() => Infinity);
    this.#spare = options.spare ?? (() => undefined);
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

  /** Most memory that a call may have, in MiB; `undefined` while there is no worker that could run it. */
  largestMb(needsEngine: boolean): number | undefined {
    return this.#seats.largestMb(needsEngine);
  }

  /** @param options `memoryMb`: what its calls may take together; unlimited by default. */
  addWorker(id: string, options: { slots: number; hasEngine: boolean; memoryMb?: number | undefined }): void {
    this.#seats.add(id, options);
  }

  removeWorker(id: string): void {
    this.#seats.remove(id);
  }

  /** Gives this worker nothing more. */
  drainWorker(id: string): void {
    const worker = this.#seats.get(id);
    if (worker !== undefined) this.#seats.drain(worker);
  }

  /** A mini-worker offers itself. An offer that stands already, or of a slot that does not exist, is ignored. */
  offer(workerId: string, slot: number): void {
    const worker = this.#seats.get(workerId);
    if (worker !== undefined) this.#seats.offer(worker, slot);
  }

  /** The worker has so many idle sandboxes for `key`. */
  setHolding(workerId: string, key: string, idle: number): void {
    const worker = this.#seats.get(workerId);
    if (worker === undefined) return;
    this.#seats.hold(worker, key, idle);
    const queue = idle === 0 ? undefined : this.#queues.get(key);
    if (queue !== undefined && this.#patient.has(queue)) this.#wake(queue);
  }

  /** Idle sandboxes by key that a worker said it holds. */
  holdings(workerId: string): ReadonlyMap<string, number> {
    return this.#seats.get(workerId)?.holds ?? new Map<string, number>();
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
    const worker = workerId === undefined ? undefined : this.#seats.get(workerId);
    if (worker !== undefined) this.#seats.leave(worker, job);
    const queue = this.#queues.get(job.spec.id);
    if (queue === undefined) return;
    queue.ended(runMs);
    queue.lane.owner.running--;
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
    const worker = this.#seats.get(workerId);
    if (worker !== undefined) this.#seats.enter(worker, job);
  }

  /** The next decision, or `undefined` when nothing can be placed now. */
  next(): Placement | undefined {
    if (this.#patient.size > 0) this.#wakeExpired();
    const spare = this.#spare();
    const reserved = this.#reservations.next(this.#begun, spare);
    if (reserved !== undefined) return this.#begin(reserved.queue, reserved.worker);
    if (!this.#seats.open) return this.#ahead();
    // Where only what is spared is left, it is the turn of those that run nothing.
    const forAll = this.#seats.roomFor(false, spare) !== NONE;
    const placement = this.#inTurn(forAll ? this.#turns : this.#firstTurns, spare);
    return placement ?? (forAll ? undefined : this.#ahead());
  }

  /** When, on the scheduler's clock, a waiting function gives up its wait: `next` should be asked again then. */
  wakeAt(): number | undefined {
    let first: number | undefined;
    for (const { patientUntil } of this.#patient) {
      if (patientUntil !== undefined && (first === undefined || patientUntil < first)) first = patientUntil;
    }
    return first;
  }

  /** Places a call of one of those whose turn it is. */
  #inTurn(turns: RoundRobin<Turn>, spare: Spare | undefined): Placement | undefined {
    let more: boolean;
    do {
      more = !this.#parked.empty && this.#unpark(spare);
      for (let tries = turns.size; tries > 0; tries--) {
        const lane = turns.next()?.of;
        const placement = lane && this.#nextOf(lane, spare);
        if (placement !== undefined) return placement;
      }
    } while (more);
    return undefined;
  }

  /** Puts parked functions that fit now back into the turns: of each kind the smallest; `false` if none fits. */
  #unpark(spare: Spare | undefined): boolean {
    let found = false;
    for (const needsEngine of [false, true]) {
      for (const owners of ['idle', 'busy'] as const) {
        const queue = this.#parked.smallest(needsEngine, owners);
        if (queue === undefined) continue;
        if (queue.memoryMb > this.#seats.roomFor(needsEngine, owners === 'busy' ? spare : undefined))
          continue;
        this.#parked.unpark(queue);
        this.#takeTurns(queue);
        found = true;
      }
    }
    return found;
  }

  #nextOf(lane: Lane, spare: Spare | undefined): Placement | undefined {
    const toLeave = lane.owner.running > 0 ? spare : undefined;
    const room = this.#seats.roomFor(lane.needsEngine, toLeave);
    for (let tries = lane.functions.size; tries > 0; tries--) {
      const queue = lane.functions.next();
      if (queue === undefined) return undefined;
      if (queue.memoryMb > room) {
        this.#parked.park(queue, this.#begun);
        this.#updateLane(lane);
        continue;
      }
      const worker = this.#placeFor(queue, toLeave);
      const placement = worker && this.#begin(queue, worker);
      if (placement !== undefined) return placement;
    }
    return undefined;
  }

  /** A place behind calls of the same function, where no other function waits. */
  #ahead(): Placement | undefined {
    if (this.#turns.size > 1) return undefined;
    const functions = this.#turns.next()?.of.functions;
    const queue = functions?.size === 1 ? functions.next() : undefined;
    const worker = queue && this.#seats.behind(queue);
    if (queue === undefined || worker === undefined) return undefined;
    const placement = this.#take(queue, worker, undefined);
    const spared = worker.idleSlots.length;
    return placement === undefined || spared === 0 ? placement : { ...placement, spared };
  }

  /** The function's next call begins on an idle mini-worker of `worker`. */
  #begin(queue: JobQueue, worker: WorkerSeat): Placement | undefined {
    return this.#take(queue, worker, this.#seats.take(worker, queue.functionId));
  }

  #take(queue: JobQueue, worker: WorkerSeat, slot: number | undefined): Placement | undefined {
    const job = queue.shift();
    if (job === undefined) return undefined;
    this.#waiting--;
    this.#begun++;
    this.#parked.forget(queue);
    this.#started(queue);
    this.#seats.enter(worker, job);
    return { job, workerId: worker.id, slot };
  }

  #placeFor(queue: JobQueue, spare: Spare | undefined): WorkerSeat | undefined {
    const own = this.#seats.holderFor(queue.functionId, queue, spare);
    if (own !== undefined) return own;
    if (this.#waitsForOwn(queue)) return undefined;
    const { runtimeKey } = queue;
    const withRuntime =
      runtimeKey === undefined ? undefined : this.#seats.holderFor(runtimeKey, queue, spare);
    return withRuntime ?? this.#seats.placeFor(queue, spare);
  }

  /** Whether the function should wait for one of its own sandboxes; if so it is out of the turns until then. */
  #waitsForOwn(queue: JobQueue): boolean {
    if (queue.patientUntil !== undefined) return queue.patientUntil > this.#now();
    if (!queue.keepsSandboxes || queue.running === 0 || queue.runMs === 0) return false;
    if (queue.runMs > SHORT_RUN_MS) return false;
    queue.patientUntil = this.#now() + 2 * queue.runMs;
    this.#patient.add(queue);
    queue.lane.functions.leave(queue);
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
    queue.lane.owner.running++;
    this.#takeTurns(queue);
  }

  /** Puts the function and its owner into the turns or takes them out, as their limits and their queues say. */
  #takeTurns(queue: JobQueue): void {
    const { lane } = queue;
    if (!queue.runnable || this.#patient.has(queue)) {
      lane.functions.leave(queue);
      this.#parked.forget(queue);
    } else if (!lane.parked.has(queue)) {
      lane.functions.join(queue);
    }
    if (queue.waiting === 0 && queue.running === 0) this.#forget(queue);
    this.#updateLane(lane);
    if (lane.other !== undefined) this.#updateLane(lane.other);
  }

  #updateLane(lane: Lane): void {
    const { owner } = lane;
    lane.mayRun = owner.running < this.#ownerLimit(owner.name);
    const takesTurns = lane.mayRun && lane.functions.size > 0;
    if (takesTurns) this.#turns.join(lane.turn);
    else this.#turns.leave(lane.turn);
    if (takesTurns && owner.running === 0) this.#firstTurns.join(lane.firstTurn);
    else this.#firstTurns.leave(lane.firstTurn);
    if (lane.parked.size > 0) this.#parked.rank(lane);
  }

  #queueOf(job: Job): JobQueue {
    const known = this.#queues.get(job.spec.id);
    if (known !== undefined) return known;
    const name = job.spec.owner;
    const owner = this.#owners.get(name) ?? new Owner(name);
    this.#owners.set(name, owner);
    owner.queues++;
    const queue = new JobQueue(job, owner.lane(requires(job.spec, 'images')));
    this.#queues.set(queue.functionId, queue);
    return queue;
  }

  #forget(queue: JobQueue): void {
    const { owner } = queue.lane;
    this.#queues.delete(queue.functionId);
    this.#patient.delete(queue);
    if (--owner.queues === 0) this.#owners.delete(owner.name);
  }
}
