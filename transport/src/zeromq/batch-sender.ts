import { setImmediate as nextTurn } from 'node:timers/promises';
import { encode, MAX_BATCH, type Envelope } from '../codec.js';

/** The sending half of a Dealer or Push socket. */
export interface FrameSink {
  send(frames: [string, Uint8Array]): Promise<void>;
}

/** Bytes of parts after which a batch is full: past that, copying them together costs more than a message. */
const MAX_BATCH_BYTES = 1024 * 1024;

const NO_PARTS: readonly Uint8Array[] = [];

/**
 * The one sender of a socket. What is pushed within a turn of the event loop, or while one waits
 * for its moment, leaves as one ZeroMQ message, and no two sends overlap, which zeromq.js refuses with `EBUSY`. `push` never waits: while the socket cannot send,
 * messages wait here, and are dropped with the sender when the socket is closed.
 */
export class BatchSender<M extends object> {
  readonly #socket: FrameSink;
  readonly #onError: (error: unknown) => void;
  readonly #moment: () => Promise<unknown>;
  #waiting: Envelope<M>[] = [];
  #flushing: Promise<void> | undefined;
  #closed = false;

  /**
   * @param onError is told when the socket fails; a send cut off by `close` is no failure.
   * @param moment what the first message of a batch waits for; by default the next turn of the event loop.
   */
  constructor(
    socket: FrameSink,
    onError: (error: unknown) => void,
    moment: () => Promise<unknown> = () => nextTurn(),
  ) {
    this.#socket = socket;
    this.#onError = onError;
    this.#moment = moment;
  }

  push(message: M, parts: readonly Uint8Array[] = NO_PARTS): void {
    if (this.#closed) return;
    this.#waiting.push({ message, parts });
    this.#flushing ??= this.#flush();
  }

  /** Resolves once everything pushed so far is with the socket, or the socket failed. */
  async flushed(): Promise<void> {
    await this.#flushing;
  }

  /** Sends nothing more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  async #flush(): Promise<void> {
    await this.#moment();
    try {
      while (this.#waiting.length > 0) await this.#socket.send(encode(this.#takeBatch()));
    } catch (error) {
      if (!this.#closed) this.#onError(error);
    } finally {
      this.#flushing = undefined;
    }
  }

  #takeBatch(): Envelope<M>[] {
    let bytes = 0;
    const full = this.#waiting.findIndex(({ parts }, index) => {
      for (const part of parts) bytes += part.byteLength;
      return index === MAX_BATCH || (index > 0 && bytes > MAX_BATCH_BYTES);
    });
    const batch = full === -1 ? this.#waiting : this.#waiting.slice(0, full);
    this.#waiting = full === -1 ? [] : this.#waiting.slice(full);
    return batch;
  }
}
