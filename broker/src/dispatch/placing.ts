import type { Invoke } from '@panal/protocol';
import type { Leases } from './leases.js';
import type { WorkerLink } from './link.js';
import type { Roster } from './roster.js';
import type { Placement, Scheduler } from './scheduler.js';

export interface PlacingOptions {
  scheduler: Scheduler;
  roster: Roster;
  leases: Leases;
  link: WorkerLink;
}

/** Carries out what the scheduler decides: brings calls to the mini-workers that it chose. */
export class Placing {
  readonly #options: PlacingOptions;
  #wake: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: PlacingOptions) {
    this.#options = options;
  }

  /** Places nothing more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#wake);
  }

  /** Places all that can be placed now, and wakes up when the scheduler wants to be asked again. */
  pump(): void {
    if (this.#stopped) return;
    const { scheduler } = this.#options;
    for (let next = scheduler.next(); next !== undefined; next = scheduler.next()) this.#place(next);
    const wakeAt = scheduler.wakeAt();
    if (wakeAt === undefined || this.#wake !== undefined) return;
    this.#wake = setTimeout(
      () => {
        this.#wake = undefined;
        this.pump();
      },
      Math.max(1, wakeAt - performance.now()),
    );
  }

  #place({ job, workerId, slot, spared }: Placement): void {
    const { roster, leases, link } = this.#options;
    const worker = roster.get(workerId);
    if (worker === undefined) return;
    const lease = leases.nameOf(job);
    const { callNum, attempt: number, spec, input } = job;
    const known = worker.specs.has(spec.id);
    if (!known) worker.specs.set(spec.id, spec.owner);
    const message: Invoke = {
      type: 'invoke',
      lease,
      slot,
      spared,
      callNum,
      attempt: number,
      functionId: spec.id,
      spec: known ? undefined : spec,
      input,
    };
    link.send(worker.peer, message, job.params.byteLength === 0 ? [] : [job.params]);
    // Not before: what is said of the attempt now must not reach the worker ahead of it.
    leases.begin(job, worker, lease, slot);
  }
}
