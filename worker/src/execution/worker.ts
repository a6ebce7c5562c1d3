import { hostname } from 'node:os';
import { CONTRACTS, type FunctionSpec } from '@panal/protocol';
import {
  MOST_AHEAD,
  PROTOCOL_VERSION,
  type Envelope,
  type Hello,
  type Invoke,
  type LogPiece,
  type Outcome,
  type Welcome,
} from '@panal/transport';
import type { Logger } from 'pino';
import { within } from '@panal/support';
import { BrokerLink, type LinkOptions, type Order } from '../link/broker-link.js';
import type { Budget } from '../pool/greedy-dual.js';
import { Line } from './line.js';
import { MiniWorker, type Assignment } from './mini-worker.js';
import { CANCELLED, notRun, RETURNED, type Attempt } from './not-run.js';
import { Outbox } from '../link/outbox.js';
import { Preparation } from './preparation.js';
import type { PreloadPolicy } from '../pool/preload.js';
import { FunctionError, PlatformError } from '../errors.js';
import type { DriverInfo, SandboxDriver } from '../sandbox/sandbox.js';
import { SandboxPool } from '../pool/sandbox-pool.js';

export interface WorkerOptions {
  id: string;
  slots: number;
  /** What the sandboxes of running calls may take together, in MiB. */
  memoryMb: number;
  /** Opened; what it found is `info`. */
  driver: SandboxDriver;
  info: DriverInfo;
  /** Clears away what is cached beyond the limit. */
  keeper?: { sweep(): Promise<void> };
  policy: PreloadPolicy;
  budget: Budget;
  parallelStarts: number;
  maxOutput: number;
  maxLogs: number;
  link: Pick<LinkOptions, 'address' | 'keys' | 'heartbeatMs' | 'leaseMs'>;
  /** Is told of every attempt that ends. */
  outcomes?: { ended(outcome: Outcome): void };
  /** The broker took this worker, for the first time or again. Throws where the worker must not work for it. */
  onWelcome: (welcome: Welcome, bundleAddress: string) => void;
  /** The worker cannot go on. */
  onFailure: (error: Error) => void;
  log: Logger;
}

const SWEEP_MS = 1000;
const RECLAIM_MS = 60_000;
/** A call that was handed out ahead and waits for longer than this goes back: what was short is so no more. */
const PATIENCE_MS = 100;

/** What a worker has now. */
export interface WorkerCensus extends Record<MiniWorker['state'], number> {
  /** Sandboxes that stand idle. */
  sandboxes: number;
  /** Outcomes that the broker has not acknowledged. */
  outbox: number;
  joined: boolean;
  /** Connections made anew so far. */
  reconnects: number;
}

/** How long stopped calls may take to end, outcomes to be acknowledged, last words to leave. */
const HAND_BACK_MS = 3000;
const ACK_MS = 1000;
const FLUSH_MS = 500;

const NOTHING = new Uint8Array(0);

/**
 * A worker: takes attempts from its link, gives each to the mini-worker that the broker chose, and hands the outcomes
 * in. `serving` → `draining` (what runs may end) → `stopped`.
 */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #link: BrokerLink;
  readonly #pool: SandboxPool;
  readonly #preparation: Preparation;
  readonly #outbox = new Outbox();
  readonly #miniWorkers: readonly MiniWorker[];
  readonly #line = new Line();
  /** Functions that the broker told of since it welcomed this worker. */
  readonly #specs = new Map<string, FunctionSpec>();
  readonly #timers: NodeJS.Timeout[] = [];
  /** Until it is looked who has waited for too long. */
  #patience: NodeJS.Timeout | undefined;
  #state: 'serving' | 'draining' | 'stopped' = 'serving';

  constructor(options: WorkerOptions) {
    const { id, driver, log } = options;
    this.#options = options;
    this.#preparation = new Preparation(driver.prepare.bind(driver), options.maxLogs);
    this.#pool = new SandboxPool({
      ...options,
      onHolds: (key, idle) => this.#link.say({ type: 'holds', key, idle }),
      onError: (error, doing, spec) => log.warn(faultOf(error, spec), `${doing} failed`),
    });
    const context = {
      workerId: id,
      pool: this.#pool,
      preparation: this.#preparation,
      maxOutput: options.maxOutput,
      maxLogs: options.maxLogs,
      log,
      next: () => this.#line.next(),
      report: (outcome: Outcome, parts: readonly Uint8Array[]) => this.#report(outcome, parts),
      onLog: (message: LogPiece, piece: Uint8Array) => this.#link.reply(message, [piece]),
    };
    this.#miniWorkers = Array.from({ length: options.slots }, (_, slot) => new MiniWorker(slot, context));
    this.#link = new BrokerLink({ ...options.link, log, listener: this });
  }

  /** Connects to the broker, and goes on trying while there is none. */
  start(): void {
    const { driver, keeper, log } = this.#options;
    const reclaim = (): void => {
      driver.reclaim().catch((error: unknown) => log.warn({ err: error }, 'reclaiming leftovers failed'));
      keeper?.sweep().catch((error: unknown) => log.warn({ err: error }, 'clearing the cache failed'));
    };
    this.#timers.push(
      setInterval(() => this.#pool.sweep(), SWEEP_MS).unref(),
      setInterval(reclaim, RECLAIM_MS).unref(),
    );
    this.#link.open();
  }

  /**
   * Takes nothing more, lets what runs end for at most `graceMs`, hands the rest back to the broker, and leaves. The
   * driver stays open.
   */
  async stop(graceMs: number): Promise<void> {
    if (this.#state !== 'serving') return;
    this.#state = 'draining';
    this.#link.say({ type: 'drain' });
    const idle = Promise.all(this.#miniWorkers.map((each) => each.finished()));
    if (!(await within(graceMs, idle))) {
      this.#returnSince(Infinity);
      for (const each of this.#miniWorkers) each.stop('worker stopped');
      await within(HAND_BACK_MS, idle);
    }
    if (this.#link.joined) await within(ACK_MS, this.#outbox.emptied());
    for (const timer of [...this.#timers, this.#patience]) clearInterval(timer);
    this.#pool.close();
    this.#link.say({ type: 'bye' });
    await this.#link.close(FLUSH_MS);
    this.#state = 'stopped';
  }

  census(): WorkerCensus {
    const states = { idle: 0, preparing: 0, running: 0 };
    for (const { state } of this.#miniWorkers) states[state]++;
    const { joined, reconnects } = this.#link;
    return { ...states, sandboxes: this.#pool.idle, outbox: this.#outbox.size, joined, reconnects };
  }

  /** Each mini-worker has its next call at hand: nothing waits for what is said to the broker now. */
  get hasWork(): boolean {
    return this.#line.size >= this.#options.slots;
  }

  hello(): Hello {
    const running = this.#miniWorkers.flatMap(({ lease }) => lease ?? []);
    return {
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      worker: this.#options.id,
      host: hostname(),
      slots: this.#options.slots,
      memoryMb: this.#options.memoryMb,
      sandbox: this.#options.info.sandbox,
      path: this.#options.info.path,
      capabilities: [...this.#options.info.capabilities, ...CONTRACTS, 'prepare'],
      // For brokers that know no capabilities.
      prepares: true,
      leases: [...running, ...this.#line.leases(), ...this.#outbox.leases()],
    };
  }

  welcomed(welcome: Welcome, bundleAddress: string): void {
    const { log, onWelcome, onFailure } = this.#options;
    try {
      onWelcome(welcome, bundleAddress);
    } catch (error) {
      onFailure(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    log.info({ broker: welcome.broker }, 'connected to the broker');
    this.#specs.clear();
    this.#preparation.clear();
    this.#resend(0);
    this.#pool.announce();
    if (this.#state === 'serving') this.#offerIdle();
    else this.#link.say({ type: 'drain' });
  }

  received({ message, parts }: Envelope<Order>): void {
    switch (message.type) {
      case 'invoke':
        this.#invoke(message, parts);
        return;
      case 'cancel':
        this.#cancel(message.lease);
        return;
      case 'follow':
        if (!this.#line.follow(message.lease, message.on)) this.#runnerOf(message.lease)?.follow(message.on);
        return;
      case 'ack':
        this.#outbox.acknowledge(message.leases);
        return;
      case 'retire':
        for (const functionId of message.functionIds) this.#retire(functionId);
    }
  }

  beat(leaseMs: number): void {
    // With an outcome the offer that it carried may be lost.
    if (this.#resend(leaseMs)) this.#offerIdle();
  }

  refused(message: string): void {
    this.#options.onFailure(new Error(`the broker refused this worker: ${message}`));
  }

  #invoke(order: Invoke, parts: readonly Uint8Array[]): void {
    const { lease, callNum, attempt, input, functionId } = order;
    if (order.spec !== undefined) this.#specs.set(functionId, order.spec);
    // An attempt that came twice is here already, or its outcome is on its way.
    if (this.#outbox.has(lease) || this.#line.has(lease) || this.#runnerOf(lease) !== undefined) return;
    const spec = this.#specs.get(functionId);
    const [bytes = NOTHING] = parts;
    if (this.#state !== 'serving') this.#report(notRun(this.#options.id, order, RETURNED), []);
    else if (spec === undefined) this.#decline(order, 'the worker was not told of the function');
    else
      this.#begin(
        { lease, callNum, attempt, spec, input, bytes, since: performance.now(), followed: false },
        order,
      );
  }

  /** On its mini-worker; where that is busy, or is not said, on one that is idle and not spared, or on the next one. */
  #begin(call: Assignment, { slot, spared = 0 }: Pick<Invoke, 'slot' | 'spared'>): void {
    const named = slot === undefined ? undefined : this.#miniWorkers[slot];
    const idle = this.#miniWorkers.filter(({ state }) => state === 'idle');
    const chosen = named?.state === 'idle' ? named : idle[spared];
    if (chosen !== undefined) chosen.begin(call);
    else if (this.#line.size < MOST_AHEAD * this.#options.slots) this.#join(call);
    else this.#decline(call, 'the worker has more calls than it can take');
  }

  #join(call: Assignment): void {
    this.#line.join(call);
    this.#patience ??= setTimeout(() => this.#returnLate(), PATIENCE_MS).unref();
  }

  #returnLate(): void {
    this.#returnSince(performance.now() - PATIENCE_MS);
    this.#patience =
      this.#line.size === 0 ? undefined : setTimeout(() => this.#returnLate(), PATIENCE_MS).unref();
  }

  /** Hands back what has waited since then or longer. */
  #returnSince(since: number): void {
    for (let call = this.#line.nextSince(since); call !== undefined; call = this.#line.nextSince(since)) {
      this.#report(notRun(this.#options.id, call, RETURNED, performance.now() - call.since), []);
    }
  }

  #cancel(lease: string): void {
    const waiting = this.#line.leave(lease);
    if (waiting === undefined) this.#runnerOf(lease)?.stop('cancelled');
    else this.#report(notRun(this.#options.id, waiting, CANCELLED), []);
  }

  #runnerOf(lease: string): MiniWorker | undefined {
    return this.#miniWorkers.find((each) => each.lease === lease);
  }

  /** Hands back an attempt that cannot begin here, which should not happen. */
  #decline(call: Attempt, message: string): void {
    this.#options.log.warn({ callNum: call.callNum, reason: message }, 'a call was declined');
    const ending = { status: 'FAILED', platform: true, error: { code: 'INTERNAL', message } } as const;
    this.#report(notRun(this.#options.id, call, ending), []);
    // The broker counts on a mini-worker less than there are.
    this.#offerIdle();
  }

  #retire(functionId: string): void {
    this.#specs.delete(functionId);
    this.#preparation.forget(functionId);
    this.#pool.retire(functionId);
  }

  #report(outcome: Outcome, parts: readonly Uint8Array[]): void {
    if (outcome.returned !== true) this.#options.outcomes?.ended(outcome);
    this.#outbox.put({ outcome, parts }, performance.now());
    this.#link.reply(this.#state === 'serving' ? outcome : withoutOffer(outcome), parts);
  }

  /** Says again what was not acknowledged for so long, in ms; whether there was any. */
  #resend(age: number): boolean {
    const stale = this.#outbox.stale(age, performance.now());
    for (const { outcome, parts } of stale) this.#link.reply(withoutOffer(outcome), parts);
    return stale.length > 0;
  }

  #offerIdle(): void {
    for (const { slot, state } of this.#miniWorkers) if (state === 'idle') this.#offer(slot);
  }

  #offer(slot: number): void {
    if (this.#state === 'serving') this.#link.say({ type: 'ready', slot });
  }
}

/** What the log says of a fault: whose code it is, if it is code's, in one line without a stack of the worker's own. */
function faultOf(error: unknown, spec: FunctionSpec | undefined): object {
  const whose = spec && { function: spec.name, version: spec.version, owner: spec.owner };
  if (!(error instanceof FunctionError || error instanceof PlatformError)) return { ...whose, err: error };
  return { ...whose, code: error.error.code, error: error.error.message };
}

/** The mini-worker that an outcome offered may be busy by now, or is to have nothing more. */
function withoutOffer(outcome: Outcome): Outcome {
  return { ...outcome, free: undefined };
}
