import { hostname } from 'node:os';
import { CONTRACTS, type FunctionSpec } from '@panal/protocol';
import {
  MOST_AHEAD,
  PROTOCOL_VERSION,
  type Hello,
  type Invoke,
  type LogPiece,
  type Outcome,
  type RequestSource,
  type Welcome,
  type WorkerTransport,
} from '@panal/transport';
import type { Logger } from 'pino';
import { within } from '@panal/support';
import type { LinkOptions } from '../link/broker-link.js';
import { BrokerSession, type SessionHost } from '../link/broker-session.js';
import type { Budget } from '../pool/greedy-dual.js';
import { Line } from './line.js';
import { MiniWorker, type Assignment } from './mini-worker.js';
import { CANCELLED, notRun, RETURNED, type Attempt } from './not-run.js';
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
  /** The ways to the brokers that it works for. */
  brokers: readonly WorkerTransport[];
  link: Pick<LinkOptions, 'heartbeatMs' | 'leaseMs'>;
  /** Is told of every attempt that ends. */
  outcomes?: { ended(outcome: Outcome): void };
  /** A broker took this worker, for the first time or again. Throws if the worker must not work for it. */
  onWelcome: (welcome: Welcome, requests: RequestSource) => void;
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
  /** Outcomes that their brokers have not acknowledged. */
  outbox: number;
  /** Whether all brokers have taken the worker. */
  joined: boolean;
  /** Connections made anew so far. */
  reconnects: number;
}

/** How long stopped calls may take to end, outcomes to be acknowledged, last words to leave. */
const HAND_BACK_MS = 3000;
const ACK_MS = 1000;
const FLUSH_MS = 500;

/**
 * A worker: takes attempts from its brokers, gives each to the mini-worker that the broker chose, and hands the outcome
 * to the same broker. `serving` → `draining` (what runs may end) → `stopped`.
 */
export class Worker implements SessionHost {
  readonly #options: WorkerOptions;
  readonly #sessions: readonly BrokerSession[];
  readonly #pool: SandboxPool;
  readonly #preparation: Preparation;
  /** Which broker gave an attempt that waits or runs, by lease. */
  readonly #givers = new Map<string, BrokerSession>();
  readonly #miniWorkers: readonly MiniWorker[];
  readonly #line = new Line();
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
      onHolds: (key, idle) => {
        for (const session of this.#sessions) session.holds(key, idle);
      },
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
      onLog: (message: LogPiece, piece: Uint8Array) => this.#givers.get(message.lease)?.log(message, piece),
    };
    this.#miniWorkers = Array.from({ length: options.slots }, (_, slot) => new MiniWorker(slot, context));
    this.#sessions = options.brokers.map(
      (transport) => new BrokerSession(this, { ...options.link, transport, log }),
    );
  }

  /** Connects to the brokers, and goes on trying while they are away. */
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
    for (const session of this.#sessions) session.open();
  }

  /**
   * Takes nothing more, lets what runs end for at most `graceMs`, hands the rest back to the brokers, and leaves. The
   * driver stays open.
   */
  async stop(graceMs: number): Promise<void> {
    if (this.#state !== 'serving') return;
    this.#state = 'draining';
    for (const session of this.#sessions) session.drain();
    const idle = Promise.all(this.#miniWorkers.map((each) => each.finished()));
    if (!(await within(graceMs, idle))) {
      this.#returnSince(Infinity);
      for (const each of this.#miniWorkers) each.stop('worker stopped');
      await within(HAND_BACK_MS, idle);
    }
    await within(ACK_MS, Promise.all(this.#sessions.map((session) => session.acknowledged())));
    for (const timer of [...this.#timers, this.#patience]) clearInterval(timer);
    this.#pool.close();
    await Promise.all(this.#sessions.map((session) => session.leave(FLUSH_MS)));
    this.#state = 'stopped';
  }

  census(): WorkerCensus {
    const states = { idle: 0, preparing: 0, running: 0 };
    for (const { state } of this.#miniWorkers) states[state]++;
    let [outbox, reconnects] = [0, 0];
    for (const session of this.#sessions) {
      outbox += session.unacknowledged;
      reconnects += session.reconnects;
    }
    const joined = this.#sessions.every((session) => session.joined);
    return { ...states, sandboxes: this.#pool.idle, outbox, joined, reconnects };
  }

  /** Each mini-worker has its next call at hand: nothing waits for what is said to the broker now. */
  get hasWork(): boolean {
    return this.#line.size >= this.#options.slots;
  }

  leasesOf(session: BrokerSession): string[] {
    const leases: string[] = [];
    for (const [lease, giver] of this.#givers) if (giver === session) leases.push(lease);
    return leases;
  }

  idleSlots(): number[] {
    if (this.#state !== 'serving') return [];
    return this.#miniWorkers.flatMap(({ slot, state }) => (state === 'idle' ? slot : []));
  }

  hello(leases: string[] = [...this.#givers.keys()]): Hello {
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
      leases,
    };
  }

  welcomed(session: BrokerSession, welcome: Welcome, requests: RequestSource): void {
    const { log, onWelcome, onFailure } = this.#options;
    try {
      onWelcome(welcome, requests);
    } catch (error) {
      onFailure(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    log.info({ broker: welcome.broker }, 'connected to the broker');
    this.#preparation.clear();
    session.resend(0);
    this.#pool.announce();
    if (this.#state === 'serving') session.offerIdle();
    else session.drain();
  }

  follow(lease: string, on: boolean): void {
    if (!this.#line.follow(lease, on)) this.#runnerOf(lease)?.follow(on);
  }

  refused(message: string): void {
    this.#options.onFailure(new Error(`the broker refused this worker: ${message}`));
  }

  invoke(session: BrokerSession, order: Invoke, bytes: Uint8Array): void {
    const { lease, callNum, attempt, input, functionId } = order;
    // An attempt that came twice is here already, or its outcome is on its way.
    if (session.owes(lease) || this.#givers.has(lease)) return;
    this.#givers.set(lease, session);
    const spec = session.specOf(functionId);
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

  cancel(lease: string): void {
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
    const giver = this.#givers.get(call.lease);
    this.#report(notRun(this.#options.id, call, ending), []);
    // The broker counts on a mini-worker less than there are.
    giver?.offerIdle();
  }

  retire(versionId: string): void {
    this.#preparation.forget(versionId);
    this.#pool.retire(versionId);
  }

  #report(outcome: Outcome, parts: readonly Uint8Array[]): void {
    const { lease, returned, free } = outcome;
    if (returned !== true) this.#options.outcomes?.ended(outcome);
    const serves = this.#state === 'serving';
    const giver = this.#givers.get(lease);
    this.#givers.delete(lease);
    giver?.report(outcome, parts, serves);
    if (free === undefined || !serves) return;
    for (const session of this.#sessions) if (session !== giver) session.freed(free);
  }
}

/** What the log says of a fault: whose code it is, if it is code's, in one line without a stack of the worker's own. */
function faultOf(error: unknown, spec: FunctionSpec | undefined): object {
  const whose = spec && { function: spec.name, version: spec.version, owner: spec.owner };
  if (!(error instanceof FunctionError || error instanceof PlatformError)) return { ...whose, err: error };
  return { ...whose, code: error.error.code, error: error.error.message };
}
