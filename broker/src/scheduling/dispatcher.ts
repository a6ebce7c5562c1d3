import type { Logger } from 'pino';
import type { CallError, Capability, Support } from '@panal/protocol';
import {
  type BrokerMessage,
  type BrokerTransport,
  type DispatchHandlers,
  type Envelope,
  type Hello,
  type LogPiece,
  type Outcome,
  type Peer,
  PROTOCOL_VERSION,
  type ReplyMessage,
  type WorkerMessage,
} from '@panal/transport';
import { Acknowledgements } from './acknowledgements.js';
import type { AttemptEvents } from './attempt.js';
import type { Job } from './job.js';
import { Leases } from './leases.js';
import { Placing } from './placing.js';
import { WorkerRegistry, type WorkerCounts, type WorkerTally } from './worker-registry.js';
import type { Scheduler } from './scheduler.js';
import { Succession } from './succession.js';
import { viewOf, type HeldAttempt, type ConnectedWorker, type WorkerView } from './worker-table.js';

export interface DispatcherOptions {
  transport: BrokerTransport;
  scheduler: Scheduler;
  /** Names this run of the broker. */
  brokerId: string;
  heartbeatMs: number;
  leaseMs: number;
  /** Whether the broker listens beyond this machine. */
  exposed: boolean;
  /** Whether the outcomes of so many calls at once can be stored; always by default. */
  hasRoomFor?: (calls: number) => boolean;
  log: Logger;
}

const NOTHING = new Uint8Array(0);

/**
 * Brings waiting calls and idle mini-workers together, and knows which worker has which attempt.
 *
 * A worker's heartbeat renews the leases of all it has. When it is silent for `leaseMs` they are lost, unless it comes
 * back and claims them before another attempt began (Paranoid Pirate and Majordomo, ZeroMQ RFC 6, 7 and 18).
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #registry = new WorkerRegistry();
  readonly #succession = new Succession();
  readonly #acknowledgements: Acknowledgements;
  /** Once it is started. */
  #session: { events: AttemptEvents; leases: Leases; placing: Placing } | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#acknowledgements = new Acknowledgements(options.transport);
  }

  /** What becomes of the messages of workers; to be given to the transport once this is started. */
  readonly handlers: DispatchHandlers = {
    onMessage: (peer, envelope) => this.#onMessage(peer, envelope),
    onReply: (envelope) => this.#onReply(envelope),
    onForeign: (peer, hello) => this.#refuse(peer, hello),
  };

  start(events: AttemptEvents): void {
    const { transport, heartbeatMs, scheduler, brokerId } = this.#options;
    const leases = new Leases({ scheduler, events, brokerId });
    const placing = new Placing({
      scheduler,
      registry: this.#registry,
      leases,
      transport,
      mayBegin: () => this.#options.hasRoomFor?.(leases.size + 1) ?? true,
      events,
      log: this.#options.log,
    });
    this.#session = { events, leases, placing };
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs);
  }

  /** Places nothing more. Workers go on with what they have, and hand it to the next broker. */
  stop(): void {
    this.#session?.placing.stop();
    clearInterval(this.#heartbeat);
    this.#acknowledgements.flush();
  }

  /** How many attempts workers have now. */
  get handedOut(): number {
    return this.#session?.leases.size ?? 0;
  }

  submit(job: Job): void {
    this.#options.scheduler.enqueue(job);
    this.#session?.placing.pump();
  }

  /** Takes a call out of the queue; `false` if it does not wait. */
  withdraw(job: Job): boolean {
    return this.#options.scheduler.remove(job.spec.id, job.callNum);
  }

  /** Tells the worker that runs this attempt to stop it. Its outcome is still to come. */
  cancel(job: Job): void {
    this.#tell(job, (lease) => ({ type: 'cancel', lease }));
  }

  /** Asks for the logs of this attempt, from their first byte; or wants no more of them. */
  follow(job: Job, on: boolean): void {
    this.#tell(job, (lease) => ({ type: 'follow', lease, on }));
  }

  /** A version stands where another stood: what workers keep for that may go once a call of the new one was served. */
  replace(before: string, next: string): void {
    this.#succession.replace(before, next);
  }

  /** Lets workers give up what they keep for these versions, and for those that they replaced. */
  retire(functionIds: readonly string[]): void {
    this.#retire(functionIds.flatMap((id) => [id, ...this.#succession.forget(id)]));
  }

  #retire(functionIds: readonly string[]): void {
    if (functionIds.length === 0) return;
    for (const worker of this.#registry.all()) {
      const known = functionIds.filter((id) => worker.specs.delete(id));
      if (known.length > 0) this.#options.transport.send(worker.peer, { type: 'retire', functionIds: known });
    }
  }

  get waiting(): number {
    return this.#options.scheduler.waiting;
  }

  get tally(): WorkerTally {
    return this.#registry.tally;
  }

  counts(): WorkerCounts {
    return this.#registry.counts(this.waiting);
  }

  /** The connected workers, as `owner` may see them. */
  workers(owner: string): WorkerView[] {
    const { scheduler } = this.#options;
    return Array.from(this.#registry.all(), (each) => viewOf(each, scheduler.holdings(each.id), owner));
  }

  support(capability: Capability): Support {
    return this.#registry.support(capability);
  }

  /** Most memory that a call may have, in MiB; `undefined` while no worker is connected that could run it. */
  largestMb(needsEngine: boolean): number | undefined {
    return this.#options.scheduler.largestMb(needsEngine);
  }

  /** Says something to the worker that has this attempt. */
  #tell(job: Job, message: (lease: string) => BrokerMessage): void {
    const attempt = this.#session?.leases.of(job.callNum);
    const worker = attempt?.job === job ? this.#registry.get(attempt.workerId) : undefined;
    if (attempt !== undefined && worker !== undefined) {
      if (attempt.held === undefined) this.#options.transport.send(worker.peer, message(attempt.lease));
      else attempt.held.push(message(attempt.lease));
    }
  }

  #onMessage(peer: Peer, { message }: Envelope<WorkerMessage>): void {
    if (message.type === 'hello') return this.#onHello(peer, message);
    const worker = this.#registry.at(peer);
    if (worker === undefined) {
      if (message.type !== 'bye') this.#options.transport.send(peer, { type: 'who' });
      return;
    }
    worker.lastHeard = performance.now();
    switch (message.type) {
      case 'ready':
        this.#options.scheduler.offer(worker.id, message.slot);
        return this.#session?.placing.pump();
      case 'holds':
        this.#options.scheduler.setHolding(worker.id, message.key, message.idle);
        return this.#session?.placing.pump();
      case 'drain':
        worker.draining = true;
        return this.#options.scheduler.drainWorker(worker.id);
      case 'bye':
        this.#registry.tally.left++;
        return this.#lose(worker, 'the worker stopped');
      case 'heartbeat':
        return;
    }
  }

  #onHello(peer: Peer, hello: Hello): void {
    if (hello.protocol !== PROTOCOL_VERSION) return this.#refuse(peer, hello);
    const { log, scheduler } = this.#options;
    const before = this.#registry.get(hello.worker);
    const other = this.#registry.at(peer);
    if (other !== undefined && other !== before) this.#lose(other, 'the worker came back under another name');
    const worker = this.#registry.add(peer, hello);
    const { slots, memoryMb } = hello;
    scheduler.addWorker(worker.id, { slots, memoryMb, hasEngine: worker.capabilities.has('images') });
    this.#welcome(worker);
    for (const lease of hello.leases) {
      if (this.#session?.leases.keep(worker, lease) !== true) {
        this.#options.transport.send(worker.peer, { type: 'cancel', lease });
      }
    }
    for (const attempt of before?.attempts.values() ?? []) {
      if (!worker.attempts.has(attempt.lease)) this.#giveUp(attempt, 'the worker does not know of the call');
    }
    log.info(
      { worker: worker.id, slots: hello.slots, sandbox: hello.sandbox, path: hello.path },
      'worker connected',
    );
  }

  /** A worker of another version of the protocol: it is told so, and ends. */
  #refuse(peer: Peer, { worker, protocol }: Pick<Hello, 'worker' | 'protocol'>): void {
    const { transport, log } = this.#options;
    const message = `worker protocol ${protocol} does not go with the broker's ${PROTOCOL_VERSION}`;
    this.#registry.tally.refused++;
    log.warn({ worker }, message);
    transport.send(peer, { type: 'refuse', message });
  }

  #welcome(worker: ConnectedWorker): void {
    const { brokerId, heartbeatMs, leaseMs, exposed, transport } = this.#options;
    const terms = { protocol: PROTOCOL_VERSION, broker: brokerId, heartbeatMs, leaseMs, exposed };
    transport.send(worker.peer, { type: 'welcome', ...terms });
  }

  #onReply({ message, parts }: Envelope<ReplyMessage>): void {
    if (message.type === 'log') return this.#onLog(message, parts);
    const attempt = this.#session?.leases.endedBy(message);
    // Not the current attempt, or settled already: it changes nothing, and its worker may forget it.
    if (attempt === undefined) return this.#acknowledge(message);
    if (attempt.ending || attempt.workerId !== message.worker) return;
    attempt.ending = true;
    this.#settle(attempt, message, parts).catch((error: unknown) => {
      this.#options.log.error({ err: error, call: message.callNum }, 'an outcome was not stored');
    });
  }

  #onLog({ callNum, lease, offset }: LogPiece, [piece]: readonly Uint8Array[]): void {
    const attempt = this.#session?.leases.of(callNum);
    if (attempt?.lease === lease && piece !== undefined) {
      this.#session?.events.logged(attempt.job, offset, piece);
    }
  }

  async #settle(attempt: HeldAttempt, outcome: Outcome, parts: readonly Uint8Array[]): Promise<void> {
    const [result = NOTHING, logs = NOTHING] = parts;
    // The mini-worker is free as soon as its call ended; that its result is not stored yet holds up nobody.
    const { job, workerId, lease } = attempt;
    // Where a call came back for having waited too long, others of its function run for that long.
    const ranMs = outcome.returned === true ? outcome.prepareMs : outcome.runMs;
    this.#options.scheduler.ended(job, { workerId, runMs: ranMs > 0 ? ranMs : undefined });
    const worker = this.#registry.get(workerId);
    worker?.attempts.delete(lease);
    if (worker !== undefined) this.#takeBack(worker, attempt, outcome);
    this.#session?.placing.pump();
    if (outcome.status === 'DONE') {
      this.#retire(this.#succession.served(attempt.job.spec.id, (id) => this.#options.scheduler.isBusy(id)));
    }
    await this.#session?.events.ended(attempt.job, { outcome, result, logs });
    this.#session?.leases.drop(attempt);
    this.#acknowledge(outcome);
  }

  /**
   * The mini-worker and the sandbox that the attempt had are there for the next one, or have it already. An offer that
   * is out of date does no harm: a call that finds its mini-worker busy waits in the worker for the next free one.
   */
  #takeBack(worker: ConnectedWorker, { slot, job }: HeldAttempt, { free, kept = false }: Outcome): void {
    if (free === undefined) {
      const next = slot === undefined ? undefined : firstWithoutSlot(worker.attempts.values());
      if (next !== undefined) next.slot = slot;
      return;
    }
    const { scheduler } = this.#options;
    const { id } = job.spec;
    // What was handed out ahead was not counted when it began, unless it has a place from one that ended since.
    if (kept && slot !== undefined)
      scheduler.setHolding(worker.id, id, (scheduler.holdings(worker.id).get(id) ?? 0) + 1);
    scheduler.offer(worker.id, free);
  }

  #acknowledge({ worker, lease }: Outcome): void {
    const peer = this.#registry.get(worker)?.peer;
    if (peer !== undefined) this.#acknowledgements.add(peer, lease);
  }

  #beat(): void {
    const { leaseMs, transport } = this.#options;
    for (const worker of this.#registry.silent(leaseMs)) {
      this.#lose(worker, `the worker was silent for ${leaseMs} ms`);
    }
    for (const { peer } of this.#registry.all()) transport.send(peer, { type: 'heartbeat' });
    // The disk may have room again.
    this.#session?.placing.pump();
  }

  #lose(worker: ConnectedWorker, why: string): void {
    this.#options.log.info({ worker: worker.id, attempts: worker.attempts.size }, `worker gone: ${why}`);
    this.#registry.remove(worker);
    this.#options.scheduler.removeWorker(worker.id);
    this.#options.transport.drop(worker.peer);
    for (const attempt of worker.attempts.values()) this.#giveUp(attempt, why);
  }

  #giveUp(attempt: HeldAttempt, why: string): void {
    if (attempt.ending) return;
    this.#session?.leases.drop(attempt);
    this.#options.scheduler.ended(attempt.job);
    const error: CallError = { code: 'WORKER_LOST', message: why };
    this.#session?.events.lost(attempt.job, error);
    this.#session?.placing.pump();
  }
}

/** The call that has waited longest in its worker for a mini-worker. */
function firstWithoutSlot(attempts: Iterable<HeldAttempt>): HeldAttempt | undefined {
  for (const attempt of attempts) if (attempt.slot === undefined) return attempt;
  return undefined;
}
