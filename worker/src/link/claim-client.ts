import type { BrokerAnswer, RequestChannel, RequestSource, WorkerRequest } from '@panal/transport';
import type { Logger } from 'pino';

/** The right to make something, until it is released. */
export interface HeldClaim {
  release(): void;
}

/** Where workers agree on who makes what. */
export interface Claims {
  /** The claim; `undefined` where another worker has it. */
  take(name: string): Promise<HeldClaim | undefined>;
}

/** For a worker on its own. */
export const NO_CLAIMS: Claims = { take: async () => ({ release: () => undefined }) };

export interface ClaimClientOptions {
  /** Id of this worker. */
  holder: string;
  log: Logger;
  /** Milliseconds for which a claim holds unless it is renewed; 30,000 by default. */
  holdMs?: number;
  /** Milliseconds after which a broker that does not answer is not waited for; 2,000 by default. */
  answerMs?: number;
}

interface Waiting {
  name: string;
  resolve: (granted: boolean | undefined) => void;
}

/**
 * The worker's end of claims, which go over the bundle channel. A broker that does not answer (it is away, or older than
 * claims) keeps nobody from his work: the same may then be made twice, which costs time and nothing else.
 */
export class ClaimClient implements Claims {
  readonly #options: Required<ClaimClientOptions>;
  readonly #renewals = new Set<NodeJS.Timeout>();
  #channel: RequestChannel | undefined;
  #waiting: Waiting[] = [];
  #sending: Promise<void> = Promise.resolve();

  constructor(options: ClaimClientOptions) {
    this.#options = { holdMs: 30_000, answerMs: 2000, ...options };
  }

  /** Asks this broker from now on. */
  connect(requests: RequestSource): void {
    this.#channel?.close();
    this.#channel = requests(({ message }) => this.#onAnswer(message));
  }

  /** What is held lapses. May be called twice. */
  close(): void {
    for (const renewal of this.#renewals) clearInterval(renewal);
    this.#renewals.clear();
    this.#channel?.close();
    this.#channel = undefined;
    for (const { resolve } of this.#waiting) resolve(undefined);
    this.#waiting = [];
  }

  async take(name: string): Promise<HeldClaim | undefined> {
    if ((await this.#ask(name)) === false) return undefined;
    const { holder, holdMs } = this.#options;
    const renewal = setInterval(() => this.#claim(name), holdMs / 3);
    renewal.unref();
    this.#renewals.add(renewal);
    return {
      release: () => {
        clearInterval(renewal);
        if (this.#renewals.delete(renewal)) this.#send({ type: 'release', name, holder });
      },
    };
  }

  /** `undefined`: nobody answered. */
  async #ask(name: string): Promise<boolean | undefined> {
    if (this.#channel === undefined) return undefined;
    let timer: NodeJS.Timeout | undefined;
    let waiting: Waiting | undefined;
    const answer = new Promise<boolean | undefined>((resolve) => {
      waiting = { name, resolve };
      this.#waiting.push(waiting);
      timer = setTimeout(resolve, this.#options.answerMs, undefined);
      timer.unref();
    });
    this.#claim(name);
    const granted = await answer;
    clearTimeout(timer);
    // What nobody answered is not waited for any more.
    this.#waiting = this.#waiting.filter((each) => each !== waiting);
    return granted;
  }

  #claim(name: string): void {
    const { holder, holdMs: ms } = this.#options;
    this.#send({ type: 'claim', name, holder, ms });
  }

  /** One send after the other, for those that overlap throw. */
  #send(request: WorkerRequest): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#sending = this.#sending
      .then(() => channel.send([request]))
      .catch((error: unknown) => {
        if (!channel.closed) this.#options.log.error({ err: error }, 'cannot send on the channel of claims');
      });
  }

  #onAnswer(message: BrokerAnswer): void {
    if (message.type !== 'claimed') return;
    const { name, granted } = message;
    for (const { resolve } of this.#waiting.filter((each) => each.name === name)) resolve(granted);
    this.#waiting = this.#waiting.filter((each) => each.name !== name);
  }
}
