import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import {
  brokerMessageSchema,
  decode,
  MalformedMessage,
  PROTOCOL_VERSION,
  type BrokerMessage,
  type Envelope,
  type Hello,
  type ReplyMessage,
  type Welcome,
  type WorkerMessage,
} from '@panal/transport';
import type { Logger } from 'pino';
import { BatchSender } from '@panal/transport/zeromq';
import { Dealer, Push } from 'zeromq';
import { asError, within } from '@panal/support';
import type { CurveKeys } from './curve.js';

/** The messages that concern the worker, not the link. */
export type Order = Extract<BrokerMessage, { type: 'invoke' | 'cancel' | 'follow' | 'ack' | 'retire' }>;

/** What a link tells its worker, and asks of it. */
export interface LinkListener {
  /** Whether a reply may wait a moment, for others to travel with it. */
  readonly hasWork: boolean;
  /** The greeting, with all that the broker must know before anything else. */
  hello(): Hello;
  /** The broker took the greeting. It knows nothing of what was said before: all is to be said again. */
  welcomed(welcome: Welcome, bundleAddress: string): void;
  received(order: Envelope<Order>): void;
  /** A heartbeat was sent: what waits for an answer for longer than `leaseMs` may be said again. */
  beat(leaseMs: number): void;
  /** The broker will not have this worker. Nothing more comes. */
  refused(message: string): void;
}

export interface LinkOptions {
  /** The broker's dispatch channel, `tcp://HOST:PORT`. */
  address: string;
  keys: CurveKeys | undefined;
  /** Until the broker says otherwise. */
  heartbeatMs: number;
  leaseMs: number;
  listener: LinkListener;
  log: Logger;
}

/**
 * How long a reply waits that may. A message wakes threads of ZeroMQ on both sides and the broker, which on a virtual
 * machine costs more than all that it says.
 */
const REPLY_WAIT_MS = 1;

interface Channel<S, M extends object> {
  readonly socket: S;
  readonly sender: BatchSender<M>;
}

/**
 * The way to the broker and back (Paranoid Pirate: heartbeats both ways, a peer not heard from is lost). `greeting`:
 * hello is said with each heartbeat until welcome answers it. `joined`: everything may be said. When the broker does
 * not know the worker, the link greets again; when nothing was heard for a lease, it does so on new sockets.
 *
 * What is said while the link is not joined is dropped, for `welcomed` says everything again.
 */
export class BrokerLink {
  readonly #options: LinkOptions;
  #state: 'closed' | 'greeting' | 'joined' = 'closed';
  #dispatch: Channel<Dealer, WorkerMessage> | undefined;
  #reply: Channel<Push, ReplyMessage> | undefined;
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

  /** How often it connected anew, for the broker was silent or a channel failed. */
  get reconnects(): number {
    return this.#reconnects;
  }

  open(): void {
    if (this.#state !== 'closed') return;
    this.#connect();
    this.#keepTime();
  }

  say(message: Exclude<WorkerMessage, Hello>): void {
    if (this.#state === 'joined') this.#dispatch?.sender.push(message);
  }

  reply(message: ReplyMessage, parts: readonly Uint8Array[]): void {
    if (this.#state === 'joined') this.#reply?.sender.push(message, parts);
  }

  /** Closes both channels, after what was said has left or `flushMs` milliseconds have passed. */
  async close(flushMs: number): Promise<void> {
    if (this.#state === 'closed') return;
    clearInterval(this.#timer);
    const said = Promise.all([this.#dispatch?.sender.flushed(), this.#reply?.sender.flushed()]);
    const joined = this.#state === 'joined';
    if (joined) await within(flushMs, said);
    this.#disconnect(joined ? flushMs : 0);
    this.#state = 'closed';
  }

  #connect(): void {
    this.#state = 'greeting';
    this.#heardAt = performance.now();
    // `immediate`: what waits for a connection that is gone must not reach the next one, which greets first.
    const socket = new Dealer({ ...this.#socketOptions(), immediate: true });
    socket.connect(this.#options.address);
    this.#dispatch = { socket, sender: this.#senderOf(socket) };
    this.#listen(socket).catch((error: unknown) => this.#failed(error));
    this.#greet();
  }

  #disconnect(linger: number): void {
    for (const channel of [this.#dispatch, this.#reply]) {
      if (channel === undefined) continue;
      channel.sender.close();
      channel.socket.linger = linger;
      channel.socket.close();
    }
    this.#dispatch = this.#reply = undefined;
  }

  #reconnect(): void {
    this.#reconnects++;
    this.#disconnect(0);
    this.#connect();
  }

  #socketOptions(): { linger: number; reconnectInterval: number; reconnectMaxInterval: number } {
    return { linger: 0, reconnectInterval: 100, reconnectMaxInterval: 2000, ...this.#options.keys };
  }

  #senderOf<M extends object>(socket: Dealer | Push, moment?: () => Promise<unknown>): BatchSender<M> {
    return new BatchSender<M>(socket, (error) => this.#failed(error), moment);
  }

  #replyMoment(): Promise<unknown> {
    return this.#options.listener.hasWork ? pause(REPLY_WAIT_MS) : nextTurn();
  }

  #greet(): void {
    this.#state = 'greeting';
    this.#dispatch?.sender.push(this.#options.listener.hello());
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
      'broker not heard from; connecting anew',
    );
    this.#reconnect();
  }

  #failed(error: unknown): void {
    if (this.#state === 'closed') return;
    this.#options.log.error({ err: error }, 'a channel to the broker failed; connecting anew');
    // Not at once: a channel that always fails must not keep the process busy. The next beats find the broker silent.
    this.#disconnect(0);
    this.#state = 'greeting';
  }

  async #listen(socket: Dealer): Promise<void> {
    for await (const frames of socket) {
      for (const envelope of this.#decode(frames)) this.#hear(envelope);
    }
  }

  #decode(frames: Buffer[]): Envelope<BrokerMessage>[] {
    try {
      const batch = decode(frames, brokerMessageSchema);
      this.#heardAt = performance.now();
      return batch;
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#options.log.warn({ reason: error.message }, 'dropped a malformed message of the broker');
      return [];
    }
  }

  #hear({ message, parts }: Envelope<BrokerMessage>): void {
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
    this.#connectReply(this.#addressOf(welcome.replyPort));
    this.#heartbeatMs = welcome.heartbeatMs;
    this.#leaseMs = welcome.leaseMs;
    this.#state = 'joined';
    this.#keepTime();
    this.#options.listener.welcomed(welcome, this.#addressOf(welcome.bundlePort));
  }

  /** The reply channel is made anew with each welcome: outcomes that wait in the old one are said again anyway. */
  #connectReply(address: string): void {
    this.#reply?.sender.close();
    this.#reply?.socket.close();
    const socket = new Push(this.#socketOptions());
    socket.connect(address);
    this.#reply = { socket, sender: this.#senderOf(socket, () => this.#replyMoment()) };
  }

  #addressOf(port: number): string {
    return this.#options.address.replace(/\d+$/, String(port));
  }

  #refused(message: string): void {
    clearInterval(this.#timer);
    this.#disconnect(0);
    this.#state = 'closed';
    this.#options.listener.refused(message);
  }
}
