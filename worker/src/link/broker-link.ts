import {
  PROTOCOL_VERSION,
  type BrokerMessage,
  type Connection,
  type Envelope,
  type Hello,
  type ReplyMessage,
  type RequestSource,
  type Welcome,
  type WorkerMessage,
  type WorkerTransport,
} from '@panal/transport';
import type { Logger } from 'pino';
import { asError, within } from '@panal/support';

/** The messages that concern the worker, not the link. */
export type Order = Extract<BrokerMessage, { type: 'invoke' | 'cancel' | 'follow' | 'ack' | 'retire' }>;

/** What a link tells its worker, and asks of it. */
export interface LinkListener {
  /** Whether a reply may wait a moment, for others to travel with it. */
  readonly hasWork: boolean;
  /** The greeting, with all that the broker must know before anything else. */
  hello(): Hello;
  /** The broker took the greeting. It knows nothing of what was said before: all is to be said again. */
  welcomed(welcome: Welcome, requests: RequestSource): void;
  received(order: Envelope<Order>): void;
  /** A heartbeat was sent: what waits for an answer for longer than `leaseMs` may be said again. */
  beat(leaseMs: number): void;
  /** The broker will not have this worker. Nothing more comes. */
  refused(message: string): void;
}

export interface LinkOptions {
  transport: WorkerTransport;
  /** Until the broker says otherwise. */
  heartbeatMs: number;
  leaseMs: number;
  listener: LinkListener;
  log: Logger;
}

/**
 * The way to the broker and back (Paranoid Pirate: heartbeats both ways, a peer not heard from is lost). `greeting`:
 * hello is said with each heartbeat until welcome answers it. `joined`: everything may be said. When the broker does
 * not know the worker, the link greets again; when nothing was heard for a lease, it does so on a new connection.
 *
 * What is said while the link is not joined is dropped, for `welcomed` says everything again.
 */
export class BrokerLink {
  readonly #options: LinkOptions;
  #state: 'closed' | 'greeting' | 'joined' = 'closed';
  #connection: Connection | undefined;
  #heartbeatMs: number;
  #leaseMs: number;
  #timer: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #reconnects = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#heartbeatMs = options.heartbeatMs;
    this.#leaseMs = options.leaseMs;
  }

  get joined(): boolean {
    return this.#state === 'joined';
  }

  /** How often it connected again, because the broker was silent or the connection failed. */
  get reconnects(): number {
    return this.#reconnects;
  }

  open(): void {
    if (this.#state !== 'closed') return;
    this.#connect();
    this.#keepTime();
  }

  say(message: Exclude<WorkerMessage, Hello>): void {
    if (this.#state === 'joined') this.#connection?.send(message);
  }

  reply(message: ReplyMessage, parts: readonly Uint8Array[]): void {
    if (this.#state === 'joined') this.#connection?.reply(message, parts);
  }

  /** Closes the connection, after what was said has left or `flushMs` milliseconds have passed. */
  async close(flushMs: number): Promise<void> {
    if (this.#state === 'closed') return;
    clearInterval(this.#timer);
    const joined = this.#state === 'joined';
    if (joined && this.#connection !== undefined) await within(flushMs, this.#connection.flushed());
    this.#disconnect(joined ? flushMs : 0);
    this.#state = 'closed';
  }

  #connect(): void {
    this.#state = 'greeting';
    this.#heardAt = performance.now();
    const { transport, listener } = this.#options;
    this.#connection = transport.connect({
      onMessage: (envelope) => this.#hear(envelope),
      onFailure: (error) => this.#failed(error),
      mayWait: () => listener.hasWork,
    });
    this.#greet();
  }

  #disconnect(linger: number): void {
    this.#connection?.close(linger);
    this.#connection = undefined;
  }

  #reconnect(): void {
    this.#reconnects++;
    this.#disconnect(0);
    this.#connect();
  }

  #greet(): void {
    this.#state = 'greeting';
    this.#connection?.send(this.#options.listener.hello());
  }

  #keepTime(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), this.#heartbeatMs);
  }

  #tick(): void {
    if (this.#state === 'joined') {
      this.say({ type: 'heartbeat' });
      this.#options.listener.beat(this.#leaseMs);
    } else {
      this.#greet();
    }
    // After a pause of this process heartbeats may wait to be read: they are, before the immediate runs.
    if (this.#isSilent()) setImmediate(() => this.#checkSilence());
  }

  #isSilent(): boolean {
    return performance.now() - this.#heardAt > this.#leaseMs;
  }

  #checkSilence(): void {
    if (this.#state === 'closed' || !this.#isSilent()) return;
    const lost = this.#state === 'joined';
    this.#options.log[lost ? 'warn' : 'debug'](
      { silentMs: this.#leaseMs },
      'broker not heard from; connecting again',
    );
    this.#reconnect();
  }

  #failed(error: unknown): void {
    if (this.#state === 'closed') return;
    this.#options.log.error({ err: error }, 'the connection to the broker failed; connecting again');
    // Not at once: a connection that always fails must not keep the process busy. The next beats find the broker silent.
    this.#disconnect(0);
    this.#state = 'greeting';
  }

  #hear({ message, parts }: Envelope<BrokerMessage>): void {
    this.#heardAt = performance.now();
    try {
      switch (message.type) {
        case 'welcome':
          // Hello may have been said twice; the first answer counts.
          if (this.#state === 'greeting') this.#join(message);
          return;
        case 'who':
          if (this.#state === 'joined') this.#greet();
          return;
        case 'refuse':
          this.#refused(message.message);
          return;
        case 'heartbeat':
          return;
        default:
          if (this.#state === 'joined') this.#options.listener.received({ message, parts });
      }
    } catch (error) {
      this.#options.log.error(
        { err: asError(error), type: message.type },
        'a message of the broker was not handled',
      );
    }
  }

  #join(welcome: Welcome): void {
    if (welcome.protocol !== PROTOCOL_VERSION) {
      const [theirs, ours] = [welcome.protocol, PROTOCOL_VERSION];
      this.#refused(`the broker speaks version ${theirs} of the protocol, this worker ${ours}`);
      return;
    }
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.join();
    this.#heartbeatMs = welcome.heartbeatMs;
    this.#leaseMs = welcome.leaseMs;
    this.#state = 'joined';
    this.#keepTime();
    this.#options.listener.welcomed(welcome, connection.requests);
  }

  #refused(message: string): void {
    clearInterval(this.#timer);
    this.#disconnect(0);
    this.#state = 'closed';
    this.#options.listener.refused(message);
  }
}
