import { Readable } from 'node:stream';
import type { Socket } from 'node:net';
import type { Holding } from '../memory/byte-budget.js';

/** Bytes that may wait for a slow client. One that is further behind when more comes is cut off. */
const MAX_WAITING = 1024 * 1024;

/** Longest silence, in ms: proxies close connections that are silent for longer, often a minute. */
const HEARTBEAT_MS = 15_000;

/** The same once the client closed its sending side: if it is gone, the second write to it fails. */
const PROBE_MS = 1000;

export interface EventStreamOptions {
  /** Longest silence, in ms. */
  heartbeatMs?: number;
  /** Counts the bytes that wait for the client; `drop` cuts the client off. */
  hold?: (drop: () => void) => Holding;
  /** The connection of the client. */
  socket?: Pick<Socket, 'writableLength'>;
}

/** A stream of server-sent events (HTML Living Standard, 9.2), as the body of an answer. */
export class EventStream extends Readable {
  readonly #socket: EventStreamOptions['socket'];
  readonly #holding: Holding | undefined;
  #held = 0;
  #heartbeat: NodeJS.Timeout;
  #ended = false;

  constructor({ heartbeatMs = HEARTBEAT_MS, hold, socket }: EventStreamOptions = {}) {
    super();
    this.#socket = socket;
    this.#holding = hold?.(() => this.destroy());
    this.#heartbeat = this.#beat(heartbeatMs);
    // So that the client has its headers, and knows that it is heard.
    this.push(':\n\n');
  }

  /** Sends an event, with `data` as JSON. */
  send(event: string, data: unknown): void {
    this.#write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** The client closed its sending side: it still listens, or is gone. Only writing to it tells which. */
  probe(): void {
    clearInterval(this.#heartbeat);
    if (!this.destroyed && !this.#ended) this.#heartbeat = this.#beat(PROBE_MS);
  }

  /** Nothing comes after this. */
  end(): void {
    clearInterval(this.#heartbeat);
    if (!this.destroyed && !this.#ended) this.push(null);
    this.#ended = true;
  }

  override _read(): void {
    // Events come when they happen; the client has taken some.
    this.#count();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#heartbeat);
    this.#holding?.close();
    done(error);
  }

  #beat(ms: number): NodeJS.Timeout {
    return setInterval(() => this.#write(':\n\n'), ms);
  }

  #write(text: string): void {
    if (this.destroyed || this.#ended) return;
    if (this.#waiting > MAX_WAITING) this.destroy();
    else {
      this.push(text);
      this.#count();
    }
  }

  get #waiting(): number {
    return this.readableLength + (this.#socket?.writableLength ?? 0);
  }

  #count(): void {
    const waiting = this.#waiting;
    this.#holding?.add(waiting - this.#held);
    this.#held = waiting;
  }
}
