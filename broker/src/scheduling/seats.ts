import { MOST_AHEAD } from '@panal/transport';
import { Holders, type Holder } from './holders.js';
import type { Job } from './job.js';
import type { JobQueue } from './job-queue.js';
import { Lookahead, type Runner } from './lookahead.js';
import { NONE } from './tournament.js';
import { WorkerGroup, type Seat, type Spare } from './worker-group.js';

export interface WorkerSeat extends Seat<WorkerSeat>, Holder, Runner {
  readonly slots: number;
  readonly idleSlots: number[];
  readonly hasEngine: boolean;
  draining: boolean;
}

/** How long a call that is handed out ahead may be expected to wait in its worker. */
const AHEAD_MS = 5;

/** The workers: what each can take, has and holds, and which of them suits a call. */
export class Seats {
  readonly #workers = new Map<string, WorkerSeat>();
  readonly #withEngine = new WorkerGroup<WorkerSeat>();
  readonly #withoutEngine = new WorkerGroup<WorkerSeat>();
  readonly #holders = new Holders<WorkerSeat>();
  readonly #lookahead = new Lookahead<WorkerSeat>();
  #slots = 0;

  /** Mini-workers of all that do not drain; and how many workers there are. */
  get slots(): number {
    return this.#slots;
  }

  get size(): number {
    return this.#workers.size;
  }

  get(id: string): WorkerSeat | undefined {
    return this.#workers.get(id);
  }

  /** Whether any mini-worker is idle that is not reserved. */
  get open(): boolean {
    return this.#withEngine.open > 0 || this.#withoutEngine.open > 0;
  }

  /** Most memory that a call may have, in MiB; `undefined` if there is no worker that could run it whatever it has. */
  largestMb(needsEngine: boolean): number | undefined {
    const most = Math.max(this.#withEngine.largestMb, needsEngine ? 0 : this.#withoutEngine.largestMb);
    return most === 0 ? undefined : most;
  }

  /** @param options `memoryMb`: what its calls may take together; unlimited by default. */
  add(id: string, options: { slots: number; hasEngine: boolean; memoryMb?: number | undefined }): void {
    this.remove(id);
    const { slots, hasEngine, memoryMb = Infinity } = options;
    const worker: WorkerSeat = {
      id,
      slots,
      hasEngine,
      memoryMb,
      freeMb: memoryMb,
      idleSlots: [],
      holds: new Map(),
      calls: 0,
      callsOf: new Map(),
      draining: false,
      hold: undefined,
      open: 0,
      openMb: NONE,
      place: NONE,
      before: undefined,
      after: undefined,
    };
    this.#workers.set(id, worker);
    this.#groupOf(worker).add(worker);
    this.#slots += slots;
  }

  remove(id: string): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.drain(worker);
    this.#holders.remove(worker);
    this.#workers.delete(id);
  }

  /** Gives this worker nothing more. */
  drain(worker: WorkerSeat): void {
    if (worker.draining) return;
    worker.draining = true;
    this.#slots -= worker.slots;
    this.#lookahead.remove(worker);
    worker.idleSlots.length = 0;
    this.#groupOf(worker).remove(worker);
  }

  /** A mini-worker is idle. One that is known to be idle, or does not exist, is ignored. */
  offer(worker: WorkerSeat, slot: number): void {
    if (worker.draining || slot >= worker.slots || worker.idleSlots.includes(slot)) return;
    worker.idleSlots.push(slot);
    this.#groupOf(worker).changed(worker);
  }

  /** The worker has so many idle sandboxes for `key`. */
  hold(worker: WorkerSeat, key: string, idle: number): void {
    this.#holders.set(worker, key, idle);
  }

  /** The worker has one call more. */
  enter(worker: WorkerSeat, { callNum, spec }: Job): void {
    if (worker.draining) return;
    const { memoryMb } = spec.settings;
    this.#lookahead.begun(worker, spec.id);
    worker.freeMb -= memoryMb;
    if (worker.hold !== undefined) {
      worker.hold.beside.add(callNum);
      worker.hold.besideMb += memoryMb;
    }
    this.#groupOf(worker).changed(worker);
  }

  /** The worker has one call less, if it was known to have it. */
  leave(worker: WorkerSeat, { callNum, spec }: Job): void {
    if (!this.#lookahead.ended(worker, spec.id)) return;
    const { memoryMb } = spec.settings;
    worker.freeMb += memoryMb;
    if (worker.hold?.beside.delete(callNum) === true) worker.hold.besideMb -= memoryMb;
    this.#groupOf(worker).changed(worker);
  }

  /** Takes an idle mini-worker, for a call of this function. */
  take(worker: WorkerSeat, functionId: string): number | undefined {
    const slot = worker.idleSlots.pop();
    if (slot !== undefined) this.#holders.use(worker, functionId);
    return slot;
  }

  /** Most memory with which a call can begin now; `NONE` if none can. */
  roomFor(needsEngine: boolean, spare: Spare | undefined): number {
    const withEngine = this.#withEngine.roomFor(spare);
    return needsEngine ? withEngine : Math.max(withEngine, this.#withoutEngine.roomFor(spare));
  }

  /** A worker where a call can wait behind others of its function, to begin as soon as one of them ends. */
  behind({ functionId, keepsSandboxes, runMs, memoryMb }: JobQueue): WorkerSeat | undefined {
    if (!keepsSandboxes || runMs === 0) return undefined;
    const each = Math.min(MOST_AHEAD, Math.floor(AHEAD_MS / runMs));
    return this.#lookahead.workerFor(
      functionId,
      each,
      ({ hold, freeMb }) => hold === undefined && freeMb >= memoryMb,
    );
  }

  /** A worker with an idle sandbox under `key` on which the function's call can begin now. */
  holderFor(key: string, { memoryMb }: JobQueue, spare: Spare | undefined): WorkerSeat | undefined {
    return this.#holders.oneFor(key, (worker) => this.#groupOf(worker).mayTake(worker, memoryMb, spare));
  }

  /** The least loaded worker on which the function's call can begin now, or another one. */
  placeFor({ memoryMb, lane }: JobQueue, spare: Spare | undefined): WorkerSeat | undefined {
    const [engine, plain] = [this.#withEngine, this.#withoutEngine];
    if (lane.needsEngine) return engine.placeFor(memoryMb, spare);
    const [first, second] = engine.mostOpen >= plain.mostOpen ? [engine, plain] : [plain, engine];
    return first.placeFor(memoryMb, spare) ?? second.placeFor(memoryMb, spare);
  }

  /** The worker with most free memory of those that could run the function, with its group. O(n). */
  largestFor({ memoryMb, lane }: JobQueue): { seat: WorkerSeat; group: WorkerGroup<WorkerSeat> } | undefined {
    const groups = lane.needsEngine ? [this.#withEngine] : [this.#withEngine, this.#withoutEngine];
    const [found, other] = groups.flatMap((group) => {
      const seat = group.holderFor(memoryMb);
      return seat === undefined ? [] : [{ group, seat }];
    });
    return other !== undefined && found !== undefined && other.seat.freeMb > found.seat.freeMb
      ? other
      : found;
  }

  #groupOf(worker: WorkerSeat): WorkerGroup<WorkerSeat> {
    return worker.hasEngine ? this.#withEngine : this.#withoutEngine;
  }
}
