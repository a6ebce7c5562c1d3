import * as zmq from 'zeromq';
import type { Logger } from 'pino';
import { encode } from '../codec.js';
import { foreignHello } from '../foreign-hello.js';
import { replyMessageSchema, workerMessageSchema, type BrokerMessage, type Welcome } from '../messages.js';
import type { BrokerHandlers, BrokerTransport, DispatchHandlers, Peer } from '../transport.js';
import { KeyGuard, serverOptions, type BrokerKeys } from './curve.js';
import { PeerQueues } from './peer-queues.js';
import { portOf, withPortOffset } from './ports.js';
import { errorCode, received } from './received.js';
import { RequestServer } from './request-server.js';
import { read, type ZmqWelcome } from './wire.js';

/** Largest frame of the dispatch channel: a greeting that names two hundred thousand attempts. */
const MAX_MESSAGE = 16 * 1024 * 1024;

/** Largest frame of the reply channel: an output and its logs at their largest settings. */
const MAX_REPLY = 600 * 1024 * 1024;

/** A peer whose pipe is full is tried again after so many ms. */
const RETRY_MS = 20;

export interface ZmqBrokerTransportOptions {
  /** `tcp://HOST:PORT` of the dispatch channel; the other two take the next ports. Port 0 takes free ones. */
  address: string;
  curve: BrokerKeys | undefined;
  log: Logger;
}

/**
 * The dispatch channel (ROUTER), the reply channel (PULL) and the bundle channel (ROUTER). A worker needs the address of
 * the first: `welcome` names the ports of the others.
 *
 * Messages wait in a queue for each peer and go out once a turn of the event loop, all that wait for a peer in one
 * ZeroMQ message; one sender only, since zeromq.js refuses a second `send` while one is under way.
 */
export class ZmqBrokerTransport implements BrokerTransport {
  readonly #options: ZmqBrokerTransportOptions;
  readonly #router: zmq.Router;
  readonly #pull: zmq.Pull;
  readonly #requests: RequestServer;
  readonly #guard: KeyGuard | undefined;
  readonly #queues = new PeerQueues();
  readonly #loops: Promise<void>[] = [];
  #ports = { dispatchPort: 0, replyPort: 0, bundlePort: 0 };
  #sending = false;
  #closed = false;

  constructor(options: ZmqBrokerTransportOptions) {
    this.#options = options;
    const common = { ...serverOptions(options.curve), linger: 0 };
    // `mandatory`: a lost peer is an error and not a silent drop. `sendTimeout` 0: one peer at its high-water mark
    // must not hold up the others.
    this.#router = new zmq.Router({
      ...common,
      maxMessageSize: MAX_MESSAGE,
      mandatory: true,
      sendTimeout: 0,
      sendHighWaterMark: 1000,
    });
    this.#pull = new zmq.Pull({ ...common, maxMessageSize: MAX_REPLY, receiveHighWaterMark: 1000 });
    this.#requests = new RequestServer(options);
    this.#guard = options.curve === undefined ? undefined : new KeyGuard(options.curve);
  }

  /** The port of the dispatch channel, once it is open. */
  get port(): number {
    return this.#ports.dispatchPort;
  }

  /** @throws Error `EADDRINUSE` or another one of the system if an address cannot be listened at */
  async open(handlers: BrokerHandlers): Promise<void> {
    const { address } = this.#options;
    await this.#guard?.start();
    const bundlePort = await this.#requests.start(withPortOffset(address, 2), handlers.onRequest);
    const replyPort = await bind(this.#pull, withPortOffset(address, 1));
    // The dispatch channel last: a worker that is welcomed there must find the other two.
    const dispatchPort = await bind(this.#router, address);
    this.#ports = { dispatchPort, replyPort, bundlePort };
    this.#loops.push(this.#receiveMessages(handlers), this.#receiveReplies(handlers));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#router.close();
    this.#pull.close();
    await Promise.all(this.#loops);
    await this.#requests.stop();
    await this.#guard?.stop();
  }

  send(peer: Peer, message: BrokerMessage, parts: readonly Uint8Array[] = []): void {
    this.#queues.push(peer, {
      message: message.type === 'welcome' ? this.#withPorts(message) : message,
      parts,
    });
    this.#scheduleFlush();
  }

  drop(peer: Peer): void {
    this.#queues.drop(peer);
  }

  #withPorts(welcome: Welcome): ZmqWelcome {
    const { replyPort, bundlePort } = this.#ports;
    return { ...welcome, replyPort, bundlePort };
  }

  #scheduleFlush(): void {
    if (this.#sending || this.#closed) return;
    this.#sending = true;
    setImmediate(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const stalled: [Peer, Parameters<PeerQueues['unshift']>[1]][] = [];
    for (let next = this.#queues.shift(); next !== undefined && !this.#closed; next = this.#queues.shift()) {
      const [peer, batch] = next;
      try {
        await this.#router.send([Buffer.from(peer, 'latin1'), ...encode(batch)]);
      } catch (error) {
        if (errorCode(error) === 'EAGAIN') stalled.push(next);
        else this.#options.log.debug({ err: error }, 'a message to a lost worker was dropped');
      }
    }
    this.#sending = false;
    for (const [peer, batch] of stalled) this.#queues.unshift(peer, batch);
    if (stalled.length > 0) setTimeout(() => this.#scheduleFlush(), RETRY_MS).unref();
    else if (!this.#queues.empty) this.#scheduleFlush();
  }

  async #receiveMessages(handlers: DispatchHandlers): Promise<void> {
    for await (const [identity, ...frames] of received(this.#router)) {
      if (identity === undefined) continue;
      const peer = identity.toString('latin1');
      const envelopes = read(frames, workerMessageSchema, this.#onGarbage);
      for (const envelope of envelopes) handlers.onMessage(peer, envelope);
      const foreign = envelopes.length === 0 ? foreignHello(frames) : undefined;
      if (foreign !== undefined) handlers.onForeign(peer, foreign);
    }
  }

  async #receiveReplies(handlers: DispatchHandlers): Promise<void> {
    for await (const frames of received(this.#pull)) {
      for (const envelope of read(frames, replyMessageSchema, this.#onGarbage)) handlers.onReply(envelope);
    }
  }

  /** The sender of garbage speaks another protocol; it gets no answer. */
  readonly #onGarbage = (reason: string): void => {
    this.#options.log.debug({ reason }, 'a malformed message was dropped');
  };
}

/** Binds the socket and gives its port. */
async function bind(socket: zmq.Router | zmq.Pull, address: string): Promise<number> {
  await socket.bind(address);
  return portOf(socket.lastEndpoint ?? '');
}
