import type { Logger } from 'pino';
import { Router } from 'zeromq';
import { bundleChannelSchema } from '../claims.js';
import { encode } from '../codec.js';
import type { RequestHandler } from '../transport.js';
import { serverOptions, type BrokerKeys } from './curve.js';
import { portOf } from './ports.js';
import { received } from './received.js';
import { read } from './wire.js';

/** Most requests of one message that are answered. A worker has no more under way. */
const MAX_FETCHES = 16;
/** Most answers that wait for a peer that does not read; later ones are dropped, and the peer asks again. */
const MAX_CHUNKS_WAITING = 32;
/** Most messages of a peer that wait for their turn, and their largest frame in bytes. */
const MAX_REQUESTS_WAITING = 64;
const MAX_REQUEST_SIZE = 16 * 1024;

export interface RequestServerOptions {
  curve: BrokerKeys | undefined;
  log: Logger;
}

/**
 * The broker's end of the bundle channel (ROUTER; the file transfer of the ZeroMQ guide, chapter 7).
 *
 * Requests are answered one after the other, in the order in which ZeroMQ hands them out: in turn among the peers, and
 * of each peer as they came. So sends never overlap, and no more than one chunk is in memory besides those that ZeroMQ
 * still has to send. If an answer overtakes another one, its worker takes the other for lost.
 */
export class RequestServer {
  readonly #options: RequestServerOptions;
  #router: Router | undefined;
  #serving: Promise<void> | undefined;

  constructor(options: RequestServerOptions) {
    this.#options = options;
  }

  /**
   * @param address such as `tcp://127.0.0.1:2002`; port 0 takes a free one.
   * @returns the port.
   */
  async start(address: string, answer: RequestHandler): Promise<number> {
    if (this.#router !== undefined) throw new TypeError('the request server has been started');
    const router = new Router({
      ...serverOptions(this.#options.curve),
      linger: 0,
      mandatory: false,
      sendHighWaterMark: MAX_CHUNKS_WAITING,
      receiveHighWaterMark: MAX_REQUESTS_WAITING,
      maxMessageSize: MAX_REQUEST_SIZE,
    });
    this.#router = router;
    try {
      await router.bind(address);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#serving = this.#serve(router, answer).catch((error: unknown) => {
      if (!router.closed) this.#options.log.error({ err: error }, 'the bundle channel broke');
    });
    return portOf(router.lastEndpoint ?? '');
  }

  /** Closes the channel; ZeroMQ frees the port a moment later. May be called twice. */
  async stop(): Promise<void> {
    const router = this.#router;
    this.#router = undefined;
    if (router === undefined) return;
    router.close();
    await this.#serving;
  }

  async #serve(router: Router, answer: RequestHandler): Promise<void> {
    for await (const [peer, ...frames] of received(router)) {
      const requests = read(frames, bundleChannelSchema, (reason) =>
        this.#options.log.debug({ reason }, 'a malformed request was dropped'),
      );
      for (const { message } of requests.slice(0, MAX_FETCHES)) {
        const reply = await answer(message);
        if (reply !== undefined) await router.send([peer ?? '', ...encode([reply])]);
      }
    }
  }
}
