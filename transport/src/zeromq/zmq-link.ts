import * as zmq from 'zeromq';
import type { Logger } from 'pino';
import { decode, encode, MalformedMessage } from '../codec.js';
import { foreignHello } from '../foreign-hello.js';
import { replyMessageSchema, workerMessageSchema, type BrokerMessage } from '../messages.js';
import type { LinkEvents, Peer, WorkerLink } from '../transport.js';
import { portOf, withPortOffset } from './addresses.js';
import { KeyGuard, serverOptions, type CurveKeys } from './curve.js';
import { PeerQueues } from './peer-queues.js';

/** Largest frame of the dispatch channel: a greeting that names two hundred thousand attempts. */
const MAX_MESSAGE = 16 * 1024 * 1024;

/** Largest frame of the reply channel: an output and its logs at their largest settings. */
const MAX_REPLY = 600 * 1024 * 1024;

/** A peer whose pipe is full is tried again after so many ms. */
const RETRY_MS = 20;

export interface ZmqLinkOptions {
  /** `tcp://HOST:PORT`; the reply channel takes the next port. Port 0 takes free ones. */
  address: string;
  curve: CurveKeys | undefined;
  log: Logger;
}

/**
 * The dispatch channel (ROUTER) and the reply channel (PULL).
 *
 * Messages wait in a queue for each peer and go out once a turn of the event loop, all that wait for a peer in one
 * ZeroMQ message; one sender only, since zeromq.js refuses a second `send` while one is under way.
 */
export class ZmqLink implements WorkerLink {
  readonly #options: ZmqLinkOptions;
  readonly #router: zmq.Router;
  readonly #pull: zmq.Pull;
  readonly #guard: KeyGuard | undefined;
  readonly #queues = new PeerQueues();
  readonly #loops: Promise<void>[] = [];
  #sending = false;
  #closed = false;

  constructor(options: ZmqLinkOptions) {
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
    this.#guard = options.curve === undefined ? undefined : new KeyGuard(options.curve);
  }

  async open(events: LinkEvents): Promise<{ dispatchPort: number; replyPort: number }> {
    await this.#guard?.start();
    // The dispatch channel last: what greets there is taken, and must not meet a broker that lacks the other one.
    const replyPort = await bind(this.#pull, withPortOffset(this.#options.address, 1));
    const dispatchPort = await bind(this.#router, this.#options.address);
    this.#loops.push(this.#receiveMessages(events), this.#receiveReplies(events));
    return { dispatchPort, replyPort };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#router.close();
    this.#pull.close();
    await Promise.all(this.#loops);
    await this.#guard?.stop();
  }

  send(peer: Peer, message: BrokerMessage, parts: readonly Uint8Array[] = []): void {
    this.#queues.push(peer, { message, parts });
    this.#scheduleFlush();
  }

  drop(peer: Peer): void {
    this.#queues.drop(peer);
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

  async #receiveMessages(events: LinkEvents): Promise<void> {
    for await (const [identity, ...frames] of this.#router) {
      if (identity === undefined) continue;
      const peer = identity.toString('latin1');
      const envelopes = this.#read(frames, workerMessageSchema);
      for (const envelope of envelopes) events.onMessage(peer, envelope);
      const foreign = envelopes.length === 0 ? foreignHello(frames) : undefined;
      if (foreign !== undefined) events.onForeign(peer, foreign);
    }
  }

  async #receiveReplies(events: LinkEvents): Promise<void> {
    for await (const frames of this.#pull) {
      for (const envelope of this.#read(frames, replyMessageSchema)) events.onReply(envelope);
    }
  }

  /** Garbage is dropped: whoever sent it is no worker of this protocol, and will be told so by silence. */
  #read<M>(frames: Buffer[], schema: Parameters<typeof decode<M>>[1]): ReturnType<typeof decode<M>> {
    try {
      return decode(frames, schema);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#options.log.debug({ err: error }, 'a malformed message was dropped');
      return [];
    }
  }
}

/** Binds the socket and gives its port. */
async function bind(socket: zmq.Router | zmq.Pull, address: string): Promise<number> {
  await socket.bind(address);
  return portOf(socket.lastEndpoint ?? '');
}

function errorCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
