import type { ClaimReply, Claim, Release } from './claims.js';
import type { Envelope } from './codec.js';
import type { BrokerMessage, BundleReply, BundleRequest, ReplyMessage, WorkerMessage } from './messages.js';

/** A worker's connection, as the broker's transport names it. A worker that connects again is another peer. */
export type Peer = string;

/** What a worker asks of a broker beside its calls: bytes of a bundle, or a claim. */
export type WorkerRequest = BundleRequest | Claim | Release;

/** What a broker answers to a `WorkerRequest`. */
export type BrokerAnswer = BundleReply | ClaimReply;

/** What a broker does with the messages of its workers. Handlers do not throw. */
export interface DispatchHandlers {
  onMessage(peer: Peer, envelope: Envelope<WorkerMessage>): void;
  onReply(envelope: Envelope<ReplyMessage>): void;
  /** A worker says hello in another version of the protocol. The broker refuses it. */
  onForeign(peer: Peer, hello: { worker: string; protocol: number }): void;
}

/** Answers a request; `undefined` if nothing is to be answered. It does not reject. */
export type RequestHandler = (request: WorkerRequest) => Promise<Envelope<BrokerAnswer> | undefined>;

export interface BrokerHandlers extends DispatchHandlers {
  readonly onRequest: RequestHandler;
}

/**
 * The broker's end: takes messages of any number of workers, and sends messages to each of them.
 *
 * What it promises: messages to one peer arrive in the order in which they were sent, or not at all. A message may be
 * lost with its connection, and nobody is told: heartbeats find that out. Requests of one worker are answered in the
 * order in which it asked. Garbage is dropped. `describeTransport` in `test/transport` checks all of it.
 */
export interface BrokerTransport {
  /** Begins to take messages. */
  open(handlers: BrokerHandlers): Promise<void>;
  /** Ends all connections. What was not sent yet is dropped. May be called twice. */
  close(): Promise<void>;
  /** Queues a message; it never waits. A transport may add to `welcome` what a worker needs to reach the broker. */
  send(peer: Peer, message: BrokerMessage, parts?: readonly Uint8Array[]): void;
  /** Drops the messages that wait for this peer. */
  drop(peer: Peer): void;
}

/** The way to one broker, from a worker. A worker of several brokers has one for each. */
export interface WorkerTransport {
  /** Connects, and goes on trying if the broker is away. */
  connect(handlers: ConnectionHandlers): Connection;
}

/** What a worker does with the messages of a broker. Handlers do not throw. */
export interface ConnectionHandlers {
  onMessage(envelope: Envelope<BrokerMessage>): void;
  /** The connection failed, and brings nothing more. A broker that is away is no failure. */
  onFailure(error: unknown): void;
  /** Whether a reply may wait for a moment, so that others travel with it. */
  mayWait(): boolean;
}

/** A worker's connection to one broker. */
export interface Connection {
  send(message: WorkerMessage): void;
  /** To be called on `welcome`, inside `onMessage`: only then `reply` and `requests` have a way to the broker. */
  join(): void;
  /** Queues an outcome or a piece of logs. What was queued before `join` is dropped. */
  reply(message: ReplyMessage, parts: readonly Uint8Array[]): void;
  /** How to ask this broker; valid until it welcomes the worker again. */
  readonly requests: RequestSource;
  /** Resolves when all that was sent and replied has left this process, or the connection failed. */
  flushed(): Promise<void>;
  /** @param lingerMs how long what was flushed may still travel */
  close(lingerMs: number): void;
}

/** Opens a channel of requests to one broker. */
export type RequestSource = (onAnswer: (answer: Envelope<BrokerAnswer>) => void) => RequestChannel;

/** Requests to one broker, answered in their order. An answer may be lost: the asker asks again. */
export interface RequestChannel {
  /** Resolves when the requests have left this process: not while the broker is away. One `send` at a time. */
  send(requests: readonly WorkerRequest[]): Promise<void>;
  /** Sends and answers nothing more; `send` may then reject. */
  close(): void;
  readonly closed: boolean;
}
