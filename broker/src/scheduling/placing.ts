import type { BrokerTransport, Invoke } from '@panal/transport';
import type { Logger } from 'pino';
import type { AttemptEvents } from './attempt.js';
import type { Job } from './job.js';
import type { Leases } from './leases.js';
import type { WorkerRegistry } from './worker-registry.js';
import type { Placement, Scheduler } from './scheduler.js';
import type { HeldAttempt, ConnectedWorker } from './worker-table.js';

export interface PlacingOptions {
  scheduler: Scheduler;
  registry: WorkerRegistry;
  leases: Leases;
  transport: BrokerTransport;
  /** Whether the outcome of one more call can be stored. */
  mayBegin: () => boolean;
  events: Pick<AttemptEvents, 'params' | 'lost'>;
  log: Logger;
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
    while (this.#options.mayBegin()) {
      const next = scheduler.next();
      if (next === undefined) break;
      this.#place(next);
    }
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
    const { registry, leases } = this.#options;
    const worker = registry.get(workerId);
    if (worker === undefined) return;
    const lease = leases.nameOf(job);
    if (job.apart !== true) {
      this.#send(worker, job, { lease, slot, spared }, job.params);
      // Not before: what is said of the attempt now must not reach the worker ahead of it.
      leases.begin(job, worker, lease, slot);
      return;
    }
    const attempt = leases.begin(job, worker, lease, slot);
    this.#load(worker, attempt, spared).catch((error: unknown) =>
      this.#options.log.error({ err: error, call: job.callNum }, 'a call was not handed out'),
    );
  }

  /** Reads the parameter of an attempt, and gives it to its worker; what is said of it meanwhile waits. */
  async #load(worker: ConnectedWorker, attempt: HeldAttempt, spared: Placement['spared']): Promise<void> {
    const { leases, events, transport, scheduler } = this.#options;
    const { job, slot } = attempt;
    const isCurrent = (): boolean => !this.#stopped && leases.of(job.callNum) === attempt && !attempt.ending;
    let params: Uint8Array;
    try {
      params = await events.params(job);
    } catch (error) {
      if (!isCurrent()) return;
      leases.drop(attempt);
      worker.attempts.delete(attempt.lease);
      scheduler.ended(job, { workerId: worker.id });
      if (slot !== undefined) scheduler.offer(worker.id, slot);
      events.lost(job, { code: 'STORE_UNAVAILABLE', message: 'the parameter of the call could not be read' });
      this.pump();
      throw error;
    }
    if (!isCurrent()) return;
    this.#send(worker, job, { lease: attempt.lease, slot: attempt.slot, spared }, params);
    for (const message of attempt.held ?? []) transport.send(worker.peer, message);
    attempt.held = undefined;
  }

  #send(
    worker: ConnectedWorker,
    job: Job,
    { lease, slot, spared }: Pick<Invoke, 'lease' | 'slot' | 'spared'>,
    params: Uint8Array,
  ): void {
    const { callNum, attempt, spec, input } = job;
    const imageDigest = spec.imageDigest;
    const told = worker.specs.get(spec.id);
    const known = told !== undefined && (imageDigest === undefined || told.imageDigest === imageDigest);
    if (!known) worker.specs.set(spec.id, { owner: spec.owner, imageDigest });
    const message: Invoke = {
      type: 'invoke',
      lease,
      slot,
      spared,
      callNum,
      attempt,
      functionId: spec.id,
      spec: known ? undefined : spec,
      input,
    };
    this.#options.transport.send(worker.peer, message, params.byteLength === 0 ? [] : [params]);
  }
}
