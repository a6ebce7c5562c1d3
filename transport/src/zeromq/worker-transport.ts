import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Dealer, Push } from 'zeromq';
import type { Envelope } from '../codec.js';
import type { ReplyMessage, WorkerMessage } from '../messages.js';
import type {
  BrokerAnswer,
  Connection,
  ConnectionHandlers,
  RequestChannel,
  WorkerTransport,
} from '../transport.js';
import { BatchSender } from './batch-sender.js';
import type { WorkerKeys } from './curve.js';
import { received } from './received.js';
import { RequestClient } from './request-client.js';
import { read, zmqBrokerMessageSchema, type ZmqBrokerMessage, type ZmqWelcome } from './wire.js';

export interface ZmqWorkerTransportOptions {
  /** The broker's dispatch channel, `tcp://HOST:PORT`. */
  address: string;
  keys: WorkerKeys | undefined;
  log: Logger;
}

/**
 * How long a reply waits that may. A message wakes threads of ZeroMQ on both sides and the broker, which on a virtual
 * machine costs more than all that it says.
 */
const REPLY_WAIT_MS = 1;

/** The way to one broker over ZeroMQ: a worker knows the address of the dispatch channel, and is told the others. */
export class ZmqWorkerTransport implements WorkerTransport {
  readonly #options: ZmqWorkerTransportOptions;

  constructor(options: ZmqWorkerTransportOptions) {
    this.#options = options;
  }

  connect(handlers: ConnectionHandlers): Connection {
    return new ZmqConnection(this.#options, handlers);
  }
}

interface Channel<S, M extends object> {
  readonly socket: S;
  readonly sender: BatchSender<M>;
}

/** The dispatch channel (DEALER), and the reply channel (PUSH) once the worker has joined. */
class ZmqConnection implements Connection {
  readonly #options: ZmqWorkerTransportOptions;
  readonly #handlers: ConnectionHandlers;
  readonly #dispatch: Channel<Dealer, WorkerMessage>;
  #reply: Channel<Push, ReplyMessage> | undefined;
  #welcome: ZmqWelcome | undefined;

  constructor(options: ZmqWorkerTransportOptions, handlers: ConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    // `immediate`: what waits for a connection that is gone must not reach the next one, which says hello first.
    const socket = new Dealer({ ...this.#socketOptions(), immediate: true });
    socket.connect(options.address);
    this.#dispatch = { socket, sender: this.#senderOf(socket) };
    this.#listen(socket).catch((error: unknown) => this.#failed(error));
  }

  send(message: WorkerMessage): void {
    this.#dispatch.sender.push(message);
  }

  /** Makes the reply channel anew: the worker sends again what waited in the one before. */
  join(): void {
    if (this.#welcome === undefined) throw new TypeError('the broker has not welcomed this worker');
    this.#reply?.sender.close();
    this.#reply?.socket.close();
    const socket = new Push(this.#socketOptions());
    socket.connect(this.#addressOf(this.#welcome.replyPort));
    this.#reply = { socket, sender: this.#senderOf(socket, () => this.#replyMoment()) };
  }

  reply(message: ReplyMessage, parts: readonly Uint8Array[]): void {
    this.#reply?.sender.push(message, parts);
  }

  readonly requests = (onAnswer: (answer: Envelope<BrokerAnswer>) => void): RequestChannel => {
    if (this.#welcome === undefined) throw new TypeError('the broker has not welcomed this worker');
    const { keys, log } = this.#options;
    return new RequestClient({ address: this.#addressOf(this.#welcome.bundlePort), keys, onAnswer, log });
  };

  async flushed(): Promise<void> {
    await Promise.all([this.#dispatch.sender.flushed(), this.#reply?.sender.flushed()]);
  }

  close(lingerMs: number): void {
    for (const channel of [this.#dispatch, this.#reply]) {
      if (channel === undefined || channel.socket.closed) continue;
      channel.sender.close();
      channel.socket.linger = lingerMs;
      channel.socket.close();
    }
  }

  #socketOptions(): { linger: number; reconnectInterval: number; reconnectMaxInterval: number } {
    return { linger: 0, reconnectInterval: 100, reconnectMaxInterval: 2000, ...this.#options.keys };
  }

  #senderOf<M extends object>(socket: Dealer | Push, moment?: () => Promise<unknown>): BatchSender<M> {
    return new BatchSender<M>(socket, (error) => this.#failed(error), moment);
  }

  #replyMoment(): Promise<unknown> {
    return this.#handlers.mayWait() ? pause(REPLY_WAIT_MS) : nextTurn();
  }

  #addressOf(port: number): string {
    return this.#options.address.replace(/\d+$/, String(port));
  }

  #failed(error: unknown): void {
    if (!this.#dispatch.socket.closed) this.#handlers.onFailure(error);
  }

  async #listen(socket: Dealer): Promise<void> {
    for await (const frames of received(socket)) {
      for (const envelope of this.#read(frames)) {
        if (envelope.message.type === 'welcome') this.#welcome = envelope.message;
        this.#handlers.onMessage(envelope);
      }
    }
  }

  #read(frames: Buffer[]): Envelope<ZmqBrokerMessage>[] {
    return read(frames, zmqBrokerMessageSchema, (reason) =>
      this.#options.log.warn({ reason }, 'dropped a malformed message of the broker'),
    );
  }
}
