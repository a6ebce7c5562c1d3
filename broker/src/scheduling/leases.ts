import type { Outcome } from '@panal/transport';
import { leaseOf, parseLease, type AttemptEvents } from './attempt.js';
import type { Job } from './job.js';
import type { Scheduler } from './scheduler.js';
import type { HeldAttempt, ConnectedWorker } from './worker-table.js';

export interface LeasesOptions {
  scheduler: Scheduler;
  events: AttemptEvents;
  /** Names this run of the broker. */
  brokerId: string;
}

/** The attempts that workers have: for each call that runs, its current one. */
export class Leases {
  readonly #options: LeasesOptions;
  /** By call number. */
  readonly #attempts = new Map<number, HeldAttempt>();

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** How many there are, with those whose outcome is being stored. */
  get size(): number {
    return this.#attempts.size;
  }

  /** The current attempt of a call. */
  of(callNum: number): HeldAttempt | undefined {
    return this.#attempts.get(callNum);
  }

  nameOf(job: Job): string {
    return leaseOf(job, this.#options.brokerId);
  }

  /** The worker was given the attempt, to run on `slot` or on the next mini-worker that is idle. */
  begin(job: Job, worker: ConnectedWorker, lease: string, slot: number | undefined): HeldAttempt {
    const held = job.apart === true ? [] : undefined;
    const attempt: HeldAttempt = { lease, job, workerId: worker.id, slot, held, ending: false };
    worker.attempts.set(lease, attempt);
    return this.#add(attempt);
  }

  /**
   * A worker that says hello still has this attempt, and goes on with it.
   * @returns `false` where nobody waits for it any more: the worker is to stop it
   */
  keep(worker: ConnectedWorker, lease: string): boolean {
    const { scheduler, events } = this.#options;
    const current = this.#named(lease);
    if (current?.workerId === worker.id) {
      // Its outcome is here and is being stored: it takes nothing of its worker any more.
      if (current.ending) return true;
      current.slot = undefined;
      scheduler.keep(current.job, worker.id);
      worker.attempts.set(lease, current);
      events.started(current.job, worker.id);
      return true;
    }
    const claimed = this.#claim(worker.id, lease);
    if (claimed !== undefined) worker.attempts.set(lease, claimed);
    return claimed !== undefined;
  }

  /** The attempt that ended so, if it is current. Its outcome may come ahead of its worker's hello. */
  endedBy({ callNum, lease, worker }: Outcome): HeldAttempt | undefined {
    return this.#attempts.has(callNum) ? this.#named(lease) : this.#claim(worker, lease);
  }

  /** It is current no more. */
  drop(attempt: HeldAttempt): void {
    const { callNum } = attempt.job;
    if (this.#attempts.get(callNum) === attempt) this.#attempts.delete(callNum);
  }

  #named(lease: string): HeldAttempt | undefined {
    const named = parseLease(lease, this.#options.brokerId);
    const current = named && this.#attempts.get(named.callNum);
    return current?.lease === lease ? current : undefined;
  }

  /** Takes up an attempt of an earlier run of the broker, or one that was given up too early. */
  #claim(workerId: string, lease: string): HeldAttempt | undefined {
    const { scheduler, events, brokerId } = this.#options;
    const named = parseLease(lease, brokerId);
    const job = named && events.claim(named);
    if (job === undefined) return undefined;
    scheduler.adopt(job, workerId);
    return this.#add({ lease, job, workerId, slot: undefined, held: undefined, ending: false });
  }

  #add(attempt: HeldAttempt): HeldAttempt {
    this.#attempts.set(attempt.job.callNum, attempt);
    this.#options.events.started(attempt.job, attempt.workerId);
    return attempt;
  }
}
