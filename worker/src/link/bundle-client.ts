import type { BundleRef } from '@panal/protocol';
import type { BrokerAnswer, BundleRequest, Envelope, RequestChannel, RequestSource } from '@panal/transport';
import type { Logger } from 'pino';
import { PlatformError } from '../errors.js';
import type { BundleFetcher } from '../bundles/bundle-cache.js';

/** Bytes asked for at a time. */
const CHUNK = 256 * 1024;

export interface BundleClientOptions {
  log: Logger;
  /** Chunks under way at once, of all bundles together, at most 16; 8 by default. */
  credit?: number;
  /** Milliseconds without a word from the broker after which it is asked again; 5,000 by default. */
  silenceMs?: number;
  /** Milliseconds without a word after which fetches fail; 60,000 by default. */
  giveUpMs?: number;
}

/** A chunk that is wanted: it waits for credit, or has been asked for. */
interface Chunk {
  request: BundleRequest;
  ref: BundleRef;
  /** Which request asked for it last, counted over all. */
  sent: number;
  arrived: Promise<Uint8Array>;
  resolve: (bytes: Uint8Array) => void;
  reject: (error: unknown) => void;
}

/**
 * The worker's end of the bundle channel: asks for chunks, a few ahead of what has come (its credit), so that the
 * broker never has more to send than the worker takes. What was under way when a connection broke is asked for again.
 */
export class BundleClient implements BundleFetcher {
  readonly #options: Required<BundleClientOptions>;
  #channel: RequestChannel | undefined;
  #waiting: Chunk[] = [];
  #underway: Chunk[] = [];
  #requests = 0;
  #sending = false;
  #silence: NodeJS.Timeout | undefined;
  #silentMs = 0;

  constructor(options: BundleClientOptions) {
    this.#options = { credit: 8, silenceMs: 5000, giveUpMs: 60_000, ...options };
  }

  /**
   * Asks this broker from now on; requests without an answer are sent to it again. To be called when a broker welcomes
   * the worker: that is quicker than to wait for silence.
   */
  connect(requests: RequestSource): void {
    this.#channel?.close();
    this.#channel = requests((answer) => this.#onAnswer(answer));
    this.#sending = false;
    this.#hear();
    this.#askAgain(this.#underway);
  }

  /** Fails every fetch. May be called twice. */
  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
    this.#failAll('the bundle channel was closed');
  }

  /**
   * The bytes of a bundle from `from` on, in order. Bundles that are fetched together share the credit.
   * @throws PlatformError `BUNDLE_UNAVAILABLE` where the broker has no such bundle, or is not heard of.
   * @throws the signal's reason
   */
  async *fetch(ref: BundleRef, from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    /** Asked for and not yet taken, in order. */
    const window: Chunk[] = [];
    const abort = (): void => window.forEach((chunk) => chunk.reject(signal.reason));
    signal.addEventListener('abort', abort);
    try {
      for (let offset = from; ;) {
        signal.throwIfAborted();
        for (; offset < ref.size && window.length < this.#options.credit; offset += CHUNK) {
          window.push(this.#ask(ref, offset));
        }
        const [next] = window;
        if (next === undefined) return;
        yield await next.arrived;
        window.shift();
      }
    } finally {
      signal.removeEventListener('abort', abort);
      this.#withdraw(window);
    }
  }

  #ask(ref: BundleRef, offset: number): Chunk {
    const length = Math.min(CHUNK, ref.size - offset);
    const request: BundleRequest = { type: 'fetch', sha256: ref.sha256, offset, length };
    let resolve: Chunk['resolve'] = () => undefined;
    let reject: Chunk['reject'] = () => undefined;
    const arrived = new Promise<Uint8Array>((...settle) => ([resolve, reject] = settle));
    // The one who fetches hears of the first chunk that fails; those behind it are withdrawn unheard.
    arrived.catch(() => undefined);
    const chunk: Chunk = { request, ref, sent: 0, arrived, resolve, reject };
    this.#waiting.push(chunk);
    this.#silence ??= setInterval(() => this.#onSilence(), this.#options.silenceMs);
    this.#send();
    return chunk;
  }

  #askAgain(chunks: readonly Chunk[]): void {
    this.#underway = this.#underway.filter((chunk) => !chunks.includes(chunk));
    this.#waiting.unshift(...chunks);
    this.#send();
  }

  /** Forgets these chunks; replies that still come for them are not looked at. */
  #withdraw(chunks: readonly Chunk[]): void {
    const others = (chunk: Chunk): boolean => !chunks.includes(chunk);
    this.#waiting = this.#waiting.filter(others);
    this.#underway = this.#underway.filter(others);
    this.#send();
    if (this.#waiting.length + this.#underway.length > 0) return;
    clearInterval(this.#silence);
    this.#silence = undefined;
    this.#silentMs = 0;
  }

  #failAll(why: string): void {
    for (const chunk of [...this.#waiting, ...this.#underway]) chunk.reject(unavailable(chunk.ref, why));
  }

  /** Sends what waits, as far as the credit goes; one send at a time, for those that overlap throw. */
  #send(): void {
    const channel = this.#channel;
    const chunks = this.#waiting.slice(0, Math.max(0, this.#options.credit - this.#underway.length));
    if (channel === undefined || this.#sending || chunks.length === 0) return;
    this.#waiting = this.#waiting.slice(chunks.length);
    this.#underway.push(...chunks);
    for (const chunk of chunks) chunk.sent = this.#requests += 1;
    this.#sending = true;
    channel.send(chunks.map(({ request }) => request)).then(
      () => this.#onSent(channel),
      (error: unknown) => {
        if (channel.closed) return;
        this.#options.log.error({ err: error }, 'cannot send on the bundle channel');
        this.#onSent(channel);
      },
    );
  }

  #onSent(channel: RequestChannel): void {
    if (channel !== this.#channel) return;
    this.#sending = false;
    this.#send();
  }

  #onAnswer({ message, parts }: Envelope<BrokerAnswer>): void {
    this.#hear();
    if (message.type !== 'chunk') return;
    const { sha256, offset, size, found } = message;
    const chunk = this.#underway.find(
      ({ request }) => request.sha256 === sha256 && request.offset === offset,
    );
    if (chunk === undefined) return;
    this.#underway = this.#underway.filter((other) => other !== chunk);
    const { ref, request } = chunk;
    const [bytes] = parts;
    if (!found) chunk.reject(unavailable(ref, 'the broker does not have it'));
    else if (size !== ref.size || bytes?.byteLength !== request.length) {
      chunk.reject(unavailable(ref, 'the broker has another of its name'));
    } else chunk.resolve(bytes);
    // The broker answers in order: what it has passed over is lost.
    this.#askAgain(this.#underway.filter(({ sent }) => sent < chunk.sent));
  }

  #hear(): void {
    this.#silentMs = 0;
    this.#silence?.refresh();
  }

  #onSilence(): void {
    const { silenceMs, giveUpMs } = this.#options;
    this.#silentMs += silenceMs;
    if (this.#silentMs >= giveUpMs) this.#failAll(`the broker has been silent for ${this.#silentMs} ms`);
    // What is still being sent has not been heard: there is no connection.
    else if (!this.#sending) this.#askAgain(this.#underway);
  }
}

function unavailable(ref: BundleRef, why: string): PlatformError {
  return new PlatformError('BUNDLE_UNAVAILABLE', `Cannot fetch the bundle ${ref.sha256}: ${why}`);
}
