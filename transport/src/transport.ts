import type { Envelope } from './codec.js';
import type { BrokerMessage, ReplyMessage, WorkerMessage } from './messages.js';

/** A worker's connection, as the link names it. A worker that connects anew is another peer. */
export type Peer = string;

/** What comes in over a link. Handlers do not throw. */
export interface LinkEvents {
  onMessage(peer: Peer, envelope: Envelope<WorkerMessage>): void;
  onReply(envelope: Envelope<ReplyMessage>): void;
  /** A worker says hello in another version of the protocol, and is to be refused. */
  onForeign(peer: Peer, hello: { worker: string; protocol: number }): void;
}

/** The way to the workers. Messages to one peer arrive in order, or not at all: a lost peer is told by its silence. */
export interface WorkerLink {
  /** Starts listening; resolves with the ports that workers are told. */
  open(events: LinkEvents): Promise<{ dispatchPort: number; replyPort: number }>;
  close(): Promise<void>;
  send(peer: Peer, message: BrokerMessage, parts?: readonly Uint8Array[]): void;
  /** Forgets what waits to be sent to this peer. */
  drop(peer: Peer): void;
}
