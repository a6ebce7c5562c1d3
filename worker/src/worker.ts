import { hostname } from 'node:os';
import {
  PROTOCOL_VERSION,
  type Envelope,
  type FunctionSpec,
  type Hello,
  type Invoke,
  type LogPiece,
  type Outcome,
  type Welcome,
} from '@panal/protocol';
import type { Logger } from 'pino';
import { BrokerLink, type LinkOptions, type Order } from './broker-link.js';
import type { Budget } from './greedy-dual.js';
import { MiniWorker } from './mini-worker.js';
import { Outbox } from './outbox.js';
import { Preparation } from './preparation.js';
import type { PreloadPolicy } from './preload.js';
import type { DriverInfo, SandboxDriver } from './sandbox/sandbox.js';
import { SandboxPool } from './sandbox-pool.js';
import { within } from './waiting.js';

export interface WorkerOptions {
  id: string;
  slots: number;
  /** Opened; what it found is `info`. */
  driver: SandboxDriver;
  info: DriverInfo;
  policy: PreloadPolicy;
  budget: Budget;
  parallelStarts: number;
  maxOutput: number;
  maxLogs: number;
  link: Pick<LinkOptions, 'address' | 'keys' | 'heartbeatMs' | 'leaseMs'>;
  /** The broker took this worker, for the first time or again. Throws where the worker must not work for it. */
  onWelcome: (welcome: Welcome, bundleAddress: string) => void;
  /** The worker cannot go on. */
  onFailure: (error: Error) => void;
  log: Logger;
}

const SWEEP_MS = 1000;
const RECLAIM_MS = 60_000;
/** How long stopped calls may take to end, outcomes to be acknowledged, last words to leave. */
const HAND_BACK_MS = 3000;
const ACK_MS = 1000;
const FLUSH_MS = 500;

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
  /** Functions that the broker told of since it welcomed this worker. */
  readonly #specs = new Map<string, FunctionSpec>();
  readonly #timers: NodeJS.Timeout[] = [];
  #state: 'serving' | 'draining' | 'stopped' = 'serving';

  constructor(options: WorkerOptions) {
    const { id, driver, log } = options;
    this.#options = options;
    this.#preparation = new Preparation((spec, signal) => driver.prepare(spec, signal));
    this.#pool = new SandboxPool({
      ...options,
      onHolds: (key, idle) => this.#link.say({ type: 'holds', key, idle }),
      onError: (error, doing) => log.warn({ err: error }, `${doing} failed`),
    });
    const context = {
      workerId: id,
      pool: this.#pool,
      preparation: this.#preparation,
      maxOutput: options.maxOutput,
      maxLogs: options.maxLogs,
      log,
      report: (outcome: Outcome, parts: readonly Uint8Array[], slot: number) =>
        this.#report(outcome, parts, slot),
      onLog: (message: LogPiece, piece: Uint8Array) => this.#link.reply(message, [piece]),
    };
    this.#miniWorkers = Array.from({ length: options.slots }, (_, slot) => new MiniWorker(slot, context));
    this.#link = new BrokerLink({ ...options.link, log, listener: this });
  }

  /** Connects to the broker, and goes on trying while there is none. */
  start(): void {
    const { driver, log } = this.#options;
    const reclaim = (): void => {
      driver.reclaim().catch((error: unknown) => log.warn({ err: error }, 'reclaiming leftovers failed'));
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
      for (const each of this.#miniWorkers) each.stop('worker stopped');
      await within(HAND_BACK_MS, idle);
    }
    if (this.#link.joined) await within(ACK_MS, this.#outbox.emptied());
    for (const timer of this.#timers) clearInterval(timer);
    this.#pool.close();
    this.#link.say({ type: 'bye' });
    await this.#link.close(FLUSH_MS);
    this.#state = 'stopped';
  }

  hello(): Hello {
    const running = this.#miniWorkers.flatMap(({ lease }) => lease ?? []);
    return {
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      worker: this.#options.id,
      host: hostname(),
      slots: this.#options.slots,
      sandbox: this.#options.info.sandbox,
      path: this.#options.info.path,
      leases: [...running, ...this.#outbox.leases()],
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
        this.#miniWorkers.find(({ lease }) => lease === message.lease)?.stop('cancelled');
        return;
      case 'follow':
        this.#miniWorkers.find(({ lease }) => lease === message.lease)?.follow(message.on);
        return;
      case 'ack':
        this.#outbox.acknowledge(message.leases);
        return;
      case 'retire':
        for (const functionId of message.functionIds) this.#retire(functionId);
    }
  }

  beat(leaseMs: number): void {
    this.#resend(leaseMs);
  }

  refused(message: string): void {
    this.#options.onFailure(new Error(`the broker refused this worker: ${message}`));
  }

  #invoke(order: Invoke, parts: readonly Uint8Array[]): void {
    const { lease, callNum, attempt, input, functionId, slot } = order;
    if (order.spec !== undefined) this.#specs.set(functionId, order.spec);
    // An attempt that came twice is here already, or its outcome is on its way.
    if (this.#outbox.has(lease) || this.#miniWorkers.some((each) => each.lease === lease)) return;
    const spec = this.#specs.get(functionId);
    const miniWorker = this.#miniWorkers[slot];
    const [bytes = new Uint8Array(0)] = parts;
    if (this.#state !== 'serving') this.#decline(order, 'WORKER_LOST', 'the worker is stopping');
    else if (spec === undefined) this.#decline(order, 'INTERNAL', 'the worker was not told of the function');
    else if (miniWorker?.state !== 'idle') this.#decline(order, 'INTERNAL', 'the mini-worker is not idle');
    else miniWorker.begin({ lease, callNum, attempt, spec, input, bytes });
  }

  /** Hands back an attempt that must not begin here. */
  #decline({ lease, callNum }: Invoke, code: 'WORKER_LOST' | 'INTERNAL', message: string): void {
    this.#options.log.warn({ callNum, reason: message }, 'a call was declined');
    const outcome: Outcome = {
      type: 'outcome',
      lease,
      callNum,
      worker: this.#options.id,
      status: 'FAILED',
      platform: true,
      error: { code, message },
      preloaded: false,
      prepareMs: 0,
      runMs: 0,
    };
    this.#report(outcome, []);
  }

  #retire(functionId: string): void {
    this.#specs.delete(functionId);
    this.#preparation.forget(functionId);
    this.#pool.retire(functionId);
  }

  /** @param free the mini-worker that the attempt had. */
  #report(outcome: Outcome, parts: readonly Uint8Array[], free?: number): void {
    this.#outbox.put({ outcome, parts }, performance.now());
    const offers = free !== undefined && this.#state === 'serving';
    this.#link.reply(offers ? { ...outcome, free } : outcome, parts);
  }

  #resend(age: number): void {
    for (const { outcome, parts } of this.#outbox.stale(age, performance.now()))
      this.#link.reply(outcome, parts);
  }

  #offerIdle(): void {
    for (const { slot, state } of this.#miniWorkers) if (state === 'idle') this.#offer(slot);
  }

  #offer(slot: number): void {
    if (this.#state === 'serving') this.#link.say({ type: 'ready', slot });
  }
}
