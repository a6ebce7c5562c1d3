import type { Logger } from 'pino';
import {
  PROTOCOL_VERSION,
  type BrokerMessage,
  type CallError,
  type Envelope,
  type Hello,
  type Outcome,
  type ReplyMessage,
  type WorkerMessage,
} from '@panal/protocol';
import { leaseOf, parseLease, type AttemptEvents } from './attempt.js';
import type { Job } from './job.js';
import type { Peer, WorkerLink } from './link.js';
import type { Placement, Scheduler } from './scheduler.js';
import { Succession } from './succession.js';
import { viewOf, type Attempt, type ConnectedWorker, type WorkerView } from './worker-table.js';

export interface DispatcherOptions {
  link: WorkerLink;
  scheduler: Scheduler;
  /** Names this run of the broker. */
  brokerId: string;
  heartbeatMs: number;
  leaseMs: number;
  /** Whether the broker listens beyond this machine. */
  exposed: boolean;
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
  readonly #peers = new Map<Peer, ConnectedWorker>();
  readonly #workers = new Map<string, ConnectedWorker>();
  /** The current attempt of each call that runs, by call number. */
  readonly #attempts = new Map<number, Attempt>();
  readonly #succession = new Succession();
  #events: AttemptEvents | undefined;
  #ports: { replyPort: number; bundlePort: number } | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #wake: NodeJS.Timeout | undefined;
  #lastBeat = 0;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Starts to listen for workers; resolves with the port of the dispatch channel. */
  async start(events: AttemptEvents, bundlePort: number): Promise<number> {
    this.#events = events;
    const { link, heartbeatMs } = this.#options;
    const { dispatchPort, replyPort } = await link.open({
      onMessage: (peer, envelope) => this.#onMessage(peer, envelope),
      onReply: (envelope) => this.#onReply(envelope),
    });
    this.#ports = { replyPort, bundlePort };
    this.#lastBeat = performance.now();
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs);
    return dispatchPort;
  }

  /** Places nothing more. Workers go on with what they have, and hand it to the next broker. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#wake);
    await this.#options.link.close();
  }

  submit(job: Job): void {
    this.#options.scheduler.enqueue(job);
    this.#pump();
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
    for (const worker of this.#workers.values()) {
      const known = functionIds.filter((id) => worker.specs.delete(id));
      if (known.length > 0) this.#options.link.send(worker.peer, { type: 'retire', functionIds: known });
    }
  }

  get waiting(): number {
    return this.#options.scheduler.waiting;
  }

  /** The connected workers, as `owner` may see them. */
  workers(owner: string): WorkerView[] {
    const { scheduler } = this.#options;
    return [...this.#workers.values()].map((each) => viewOf(each, scheduler.holdings(each.id), owner));
  }

  /** Whether any worker has a container engine; `undefined` while no worker is connected. */
  hasEngine(): boolean | undefined {
    if (this.#workers.size === 0) return undefined;
    return [...this.#workers.values()].some(({ hello }) => hello.sandbox === 'docker');
  }

  /** Says something to the worker that has this attempt. */
  #tell(job: Job, message: (lease: string) => BrokerMessage): void {
    const attempt = this.#attempts.get(job.callNum);
    const worker = attempt?.job === job ? this.#workers.get(attempt.workerId) : undefined;
    if (attempt !== undefined && worker !== undefined) {
      this.#options.link.send(worker.peer, message(attempt.lease));
    }
  }

  #onMessage(peer: Peer, { message }: Envelope<WorkerMessage>): void {
    if (message.type === 'hello') return this.#onHello(peer, message);
    const worker = this.#peers.get(peer);
    if (worker === undefined) {
      if (message.type !== 'bye') this.#options.link.send(peer, { type: 'who' });
      return;
    }
    worker.lastHeard = performance.now();
    switch (message.type) {
      case 'ready':
        this.#options.scheduler.offer(worker.id, message.slot);
        return this.#pump();
      case 'holds':
        this.#options.scheduler.setHolding(worker.id, message.key, message.idle);
        return this.#pump();
      case 'drain':
        worker.draining = true;
        return this.#options.scheduler.drainWorker(worker.id);
      case 'bye':
        return this.#lose(worker, 'the worker stopped');
      case 'heartbeat':
        return;
    }
  }

  #onHello(peer: Peer, hello: Hello): void {
    const { link, log, scheduler } = this.#options;
    if (hello.protocol !== PROTOCOL_VERSION) {
      const message = `worker protocol ${hello.protocol} does not go with the broker's ${PROTOCOL_VERSION}`;
      log.warn({ worker: hello.worker }, message);
      return link.send(peer, { type: 'refuse', message });
    }
    const before = this.#workers.get(hello.worker);
    const other = this.#peers.get(peer);
    if (other !== undefined && other !== before) this.#lose(other, 'the worker came back under another name');
    const worker: ConnectedWorker = {
      id: hello.worker,
      peer,
      hello,
      specs: new Set(),
      attempts: new Map(),
      draining: false,
      lastHeard: performance.now(),
    };
    if (before !== undefined) this.#peers.delete(before.peer);
    this.#peers.set(peer, worker);
    this.#workers.set(worker.id, worker);
    scheduler.addWorker(worker.id, { slots: hello.slots, hasEngine: hello.sandbox === 'docker' });
    this.#welcome(worker);
    for (const lease of hello.leases) this.#keep(worker, lease);
    for (const attempt of before?.attempts.values() ?? []) {
      if (!worker.attempts.has(attempt.lease)) this.#giveUp(attempt, 'the worker does not know of the call');
    }
    log.info(
      { worker: worker.id, slots: hello.slots, sandbox: hello.sandbox, path: hello.path },
      'worker connected',
    );
  }

  #welcome(worker: ConnectedWorker): void {
    if (this.#ports === undefined) return;
    const { brokerId, heartbeatMs, leaseMs, exposed, link } = this.#options;
    const terms = { protocol: PROTOCOL_VERSION, broker: brokerId, heartbeatMs, leaseMs, exposed };
    link.send(worker.peer, { type: 'welcome', ...terms, ...this.#ports });
  }

  /** A worker that says hello still has this attempt: it goes on with it, or is told to stop. */
  #keep(worker: ConnectedWorker, lease: string): void {
    const named = parseLease(lease);
    const current = named === undefined ? undefined : this.#attempts.get(named.callNum);
    if (current?.lease === lease && current.workerId === worker.id) {
      // What an outcome from before this hello says of its mini-worker is out of date.
      current.slot = undefined;
      worker.attempts.set(lease, current);
      if (!current.ending) this.#events?.started(current.job, worker.id);
      return;
    }
    const job = named === undefined ? undefined : this.#events?.claim(named.callNum, named.attempt);
    if (job === undefined) return this.#options.link.send(worker.peer, { type: 'cancel', lease });
    this.#options.scheduler.adopt(job);
    this.#begin({ lease, job, workerId: worker.id, slot: undefined, ending: false }, worker);
  }

  #begin(attempt: Attempt, worker: ConnectedWorker): void {
    this.#attempts.set(attempt.job.callNum, attempt);
    worker.attempts.set(attempt.lease, attempt);
    this.#events?.started(attempt.job, worker.id);
  }

  #onReply({ message, parts }: Envelope<ReplyMessage>): void {
    const attempt = this.#attempts.get(message.callNum);
    if (message.type === 'log') {
      const [piece] = parts;
      if (attempt?.lease === message.lease && piece !== undefined) {
        this.#events?.logged(attempt.job, message.offset, piece);
      }
      return;
    }
    // Not the current attempt, or settled already: it changes nothing, and its worker may forget it.
    if (attempt?.lease !== message.lease) return this.#acknowledge(message);
    if (attempt.ending || attempt.workerId !== message.worker) return;
    attempt.ending = true;
    this.#settle(attempt, message, parts).catch((error: unknown) => {
      this.#options.log.error({ err: error, call: message.callNum }, 'an outcome was not stored');
    });
  }

  async #settle(attempt: Attempt, outcome: Outcome, parts: readonly Uint8Array[]): Promise<void> {
    const [result = NOTHING, logs = NOTHING] = parts;
    // The mini-worker is free as soon as its call ended; that its result is not stored yet holds up nobody.
    this.#options.scheduler.ended(attempt.job, outcome.runMs > 0 ? outcome.runMs : undefined);
    this.#workers.get(attempt.workerId)?.attempts.delete(attempt.lease);
    this.#takeBack(attempt, outcome);
    this.#pump();
    if (outcome.status === 'DONE') {
      this.#retire(this.#succession.served(attempt.job.spec.id, (id) => this.#options.scheduler.isBusy(id)));
    }
    await this.#events?.ended(attempt.job, { outcome, result, logs });
    if (this.#attempts.get(attempt.job.callNum) === attempt) this.#attempts.delete(attempt.job.callNum);
    this.#acknowledge(outcome);
  }

  /** The mini-worker and the sandbox that the attempt had are there for the next one. */
  #takeBack({ slot, workerId, job }: Attempt, { free, kept = false }: Outcome): void {
    if (free === undefined || free !== slot) return;
    const { scheduler } = this.#options;
    if (kept)
      scheduler.setHolding(workerId, job.spec.id, (scheduler.holdings(workerId).get(job.spec.id) ?? 0) + 1);
    scheduler.offer(workerId, free);
  }

  #acknowledge({ worker, lease }: Outcome): void {
    const peer = this.#workers.get(worker)?.peer;
    if (peer !== undefined) this.#options.link.send(peer, { type: 'ack', leases: [lease] });
  }

  #pump(): void {
    if (this.#stopped) return;
    const { scheduler } = this.#options;
    for (let next = scheduler.next(); next !== undefined; next = scheduler.next()) this.#place(next);
    const wakeAt = scheduler.wakeAt();
    if (wakeAt === undefined || this.#wake !== undefined) return;
    this.#wake = setTimeout(
      () => {
        this.#wake = undefined;
        this.#pump();
      },
      Math.max(1, wakeAt - performance.now()),
    );
  }

  #place({ job, workerId, slot }: Placement): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    const lease = leaseOf(job, this.#options.brokerId);
    const { callNum, attempt: number, spec, input } = job;
    const known = worker.specs.has(spec.id);
    if (!known) worker.specs.add(spec.id);
    const target = { lease, slot, callNum, attempt: number, functionId: spec.id, input };
    const message = { type: 'invoke' as const, ...target, ...(known ? {} : { spec }) };
    this.#options.link.send(worker.peer, message, job.params.byteLength === 0 ? [] : [job.params]);
    // Not before: what is said of the attempt now must not reach the worker ahead of it.
    this.#begin({ lease, job, workerId, slot, ending: false }, worker);
  }

  #beat(): void {
    const { leaseMs } = this.#options;
    const now = performance.now();
    // When this process itself was stopped for a while, the workers' heartbeats still wait to be read.
    const slept = now - this.#lastBeat > leaseMs / 2;
    this.#lastBeat = now;
    const oldest = now - leaseMs;
    for (const worker of this.#workers.values()) {
      if (slept) worker.lastHeard = now;
      if (worker.lastHeard < oldest) this.#lose(worker, `the worker was silent for ${leaseMs} ms`);
      else this.#options.link.send(worker.peer, { type: 'heartbeat' });
    }
  }

  #lose(worker: ConnectedWorker, why: string): void {
    this.#options.log.info({ worker: worker.id, attempts: worker.attempts.size }, `worker gone: ${why}`);
    this.#peers.delete(worker.peer);
    if (this.#workers.get(worker.id) === worker) this.#workers.delete(worker.id);
    this.#options.scheduler.removeWorker(worker.id);
    this.#options.link.drop(worker.peer);
    for (const attempt of worker.attempts.values()) this.#giveUp(attempt, why);
  }

  #giveUp(attempt: Attempt, why: string): void {
    if (attempt.ending) return;
    this.#attempts.delete(attempt.job.callNum);
    this.#options.scheduler.ended(attempt.job);
    const error: CallError = { code: 'WORKER_LOST', message: why };
    this.#events?.lost(attempt.job, error);
    this.#pump();
  }
}
