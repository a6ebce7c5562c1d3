import type { FunctionSpec } from '@panal/protocol';
import type { Envelope, Hello, Invoke, LogPiece, Outcome, RequestSource, Welcome } from '@panal/transport';
import { BrokerLink, type LinkListener, type LinkOptions, type Order } from './broker-link.js';
import { Outbox } from './outbox.js';

/** What the sessions of a worker ask of it, and tell it. */
export interface SessionHost {
  /** Whether all mini-workers have their next call at hand: a reply may wait for a moment. */
  readonly hasWork: boolean;
  /** Attempts that were given by this broker, and run or wait. */
  leasesOf(session: BrokerSession): string[];
  hello(leases: string[]): Hello;
  /** @throws Error if the worker must not work for this broker */
  welcomed(session: BrokerSession, welcome: Welcome, requests: RequestSource): void;
  /** The slots of idle mini-workers that may take calls. */
  idleSlots(): number[];
  invoke(session: BrokerSession, order: Invoke, input: Uint8Array): void;
  cancel(lease: string): void;
  follow(lease: string, on: boolean): void;
  retire(versionId: string): void;
  refused(message: string): void;
}

const NOTHING = new Uint8Array(0);

/**
 * What a worker has with one broker: the link, the functions that this broker told it, and the outcomes that this
 * broker has not stored yet. A worker of several brokers has a session with each, and offers every mini-worker to all
 * of them: a call that finds its mini-worker busy waits in the worker for a moment, and goes back if none is free.
 */
export class BrokerSession implements LinkListener {
  readonly #link: BrokerLink;
  readonly #host: SessionHost;
  readonly #outbox = new Outbox();
  /** Versions that the broker told of since it welcomed this worker. */
  readonly #specs = new Map<string, FunctionSpec>();
  /** Slots that this broker has been offered since it welcomed this worker, and has not used. */
  readonly #offered = new Set<number>();

  constructor(host: SessionHost, options: Omit<LinkOptions, 'listener'>) {
    this.#host = host;
    this.#link = new BrokerLink({ ...options, listener: this });
  }

  get joined(): boolean {
    return this.#link.joined;
  }

  get reconnects(): number {
    return this.#link.reconnects;
  }

  /** Outcomes that the broker has not acknowledged. */
  get unacknowledged(): number {
    return this.#outbox.size;
  }

  open(): void {
    this.#link.open();
  }

  /** Resolves when the broker has acknowledged all outcomes; at once if it is away. */
  async acknowledged(): Promise<void> {
    if (this.joined) await this.#outbox.emptied();
  }

  async leave(flushMs: number): Promise<void> {
    this.#link.say({ type: 'bye' });
    await this.#link.close(flushMs);
  }

  drain(): void {
    this.#link.say({ type: 'drain' });
  }

  holds(key: string, idle: number): void {
    this.#link.say({ type: 'holds', key, idle });
  }

  /** Offers a mini-worker that this broker may not know to be idle. */
  offer(slot: number): void {
    this.#offered.add(slot);
    this.#link.say({ type: 'ready', slot });
  }

  /** A mini-worker is idle after a call of another broker: tells this one, if it has used its offer meanwhile. */
  freed(slot: number): void {
    if (!this.#offered.has(slot)) this.offer(slot);
  }

  offerIdle(): void {
    for (const slot of this.#host.idleSlots()) this.offer(slot);
  }

  /** Hands in an outcome, with an offer of its mini-worker if `offers`; it is sent again until the broker stored it. */
  report(outcome: Outcome, parts: readonly Uint8Array[], offers: boolean): void {
    this.#outbox.put({ outcome, parts }, performance.now());
    if (outcome.free !== undefined && offers) this.#offered.add(outcome.free);
    this.#link.reply(offers ? outcome : withoutOffer(outcome), parts);
  }

  log(message: LogPiece, piece: Uint8Array): void {
    this.#link.reply(message, [piece]);
  }

  /** Whether the outcome of this attempt is on its way. */
  owes(lease: string): boolean {
    return this.#outbox.has(lease);
  }

  specOf(versionId: string): FunctionSpec | undefined {
    return this.#specs.get(versionId);
  }

  get hasWork(): boolean {
    return this.#host.hasWork;
  }

  hello(): Hello {
    return this.#host.hello([...this.#host.leasesOf(this), ...this.#outbox.leases()]);
  }

  welcomed(welcome: Welcome, requests: RequestSource): void {
    this.#specs.clear();
    this.#offered.clear();
    this.#host.welcomed(this, welcome, requests);
  }

  received({ message, parts }: Envelope<Order>): void {
    switch (message.type) {
      case 'invoke':
        if (message.spec !== undefined) this.#specs.set(message.functionId, message.spec);
        if (message.slot !== undefined) this.#offered.delete(message.slot);
        return this.#host.invoke(this, message, parts[0] ?? NOTHING);
      case 'cancel':
        return this.#host.cancel(message.lease);
      case 'follow':
        return this.#host.follow(message.lease, message.on);
      case 'ack':
        return this.#outbox.acknowledge(message.leases);
      case 'retire':
        for (const versionId of message.functionIds) {
          this.#specs.delete(versionId);
          this.#host.retire(versionId);
        }
    }
  }

  beat(leaseMs: number): void {
    // With an outcome the offer that it carried may be lost.
    if (this.resend(leaseMs)) this.offerIdle();
  }

  /** Sends again what was not acknowledged for so long, in ms; whether there was any. */
  resend(age: number): boolean {
    const stale = this.#outbox.stale(age, performance.now());
    for (const { outcome, parts } of stale) this.#link.reply(withoutOffer(outcome), parts);
    return stale.length > 0;
  }

  refused(message: string): void {
    this.#host.refused(message);
  }
}

/** The mini-worker that an outcome offered may be busy by now, or is to have nothing more. */
function withoutOffer(outcome: Outcome): Outcome {
  return { ...outcome, free: undefined };
}
