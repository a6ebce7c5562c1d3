import type { Logger } from 'pino';
import { Dealer } from 'zeromq';
import { encode, type Envelope } from '../codec.js';
import type { BrokerAnswer, RequestChannel, WorkerRequest } from '../transport.js';
import type { WorkerKeys } from './curve.js';
import { received } from './received.js';
import { answerSchema, read } from './wire.js';

/** A request that was sent just before the channel is closed, such as a release, may travel for so many ms. */
const LINGER_MS = 200;

export interface RequestClientOptions {
  /** The broker's bundle channel, `tcp://HOST:PORT`. */
  address: string;
  keys: WorkerKeys | undefined;
  onAnswer: (answer: Envelope<BrokerAnswer>) => void;
  log: Logger;
}

/** A worker's end of the bundle channel (DEALER). */
export class RequestClient implements RequestChannel {
  readonly #options: RequestClientOptions;
  readonly #dealer: Dealer;

  constructor(options: RequestClientOptions) {
    this.#options = options;
    // `immediate`: while there is no connection, requests wait with who asks, who can withdraw them.
    this.#dealer = new Dealer({ ...options.keys, linger: LINGER_MS, immediate: true });
    this.#dealer.connect(options.address);
    this.#receive().catch((error: unknown) => {
      if (!this.closed) options.log.error({ err: error }, 'the bundle channel broke');
    });
  }

  get closed(): boolean {
    return this.#dealer.closed;
  }

  async send(requests: readonly WorkerRequest[]): Promise<void> {
    await this.#dealer.send(encode(requests.map((message) => ({ message, parts: [] }))));
  }

  close(): void {
    this.#dealer.close();
  }

  async #receive(): Promise<void> {
    const { onAnswer, log } = this.#options;
    for await (const frames of received(this.#dealer)) {
      const answers = read(frames, answerSchema, (reason) =>
        log.debug({ reason }, 'a malformed answer was dropped'),
      );
      for (const answer of answers) onAnswer(answer);
    }
  }
}
