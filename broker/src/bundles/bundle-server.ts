import {
  bundleChannelSchema,
  decode,
  encode,
  MalformedMessage,
  type BundleReply,
  type BundleRequest,
  type Claim,
  type ClaimReply,
  type Envelope,
  type Release,
} from '@panal/transport';
import type { Logger } from 'pino';
import type { Router } from 'zeromq';
import type { BundleStore } from './bundle-store.js';
import { Claims } from './claims.js';

/** Fetches answered of one message; a worker has no more under way. */
const MAX_FETCHES = 16;
/** Most chunks that wait for a peer that does not read; what comes after is dropped, and it asks again. */
const MAX_CHUNKS_WAITING = 32;
/** Most messages of a peer that wait for their turn, and their largest frame in bytes. */
const MAX_REQUESTS_WAITING = 64;
const MAX_REQUEST_SIZE = 16 * 1024;

export interface BundleServerOptions {
  /** Makes the socket, with its keys; the server sets what bounds it. */
  createRouter: () => Router;
  bundles: Pick<BundleStore, 'read'>;
  log: Logger;
  /** Who makes what; nothing is claimed at first by default. */
  claims?: Claims;
}

/**
 * The broker's end of the bundle channel (the file transfer of the ZeroMQ guide, chapter 7): a worker asks for chunks,
 * a few ahead, and each is read and sent.
 *
 * One request is served after the other, in the order in which ZeroMQ hands them out: in turn among the peers, and of
 * each peer as they came. So sends never overlap, no more than one chunk is in memory besides those ZeroMQ still has
 * to send, and a worker may take a reply that is overtaken by a later one for lost.
 */
export class BundleServer {
  readonly #options: BundleServerOptions;
  readonly #claims: Claims;
  #router: Router | undefined;
  #serving: Promise<void> | undefined;

  constructor(options: BundleServerOptions) {
    this.#options = options;
    this.#claims = options.claims ?? new Claims();
  }

  /**
   * @param address such as `tcp://127.0.0.1:2002`; port 0 takes a free one.
   * @returns the port.
   */
  async start(address: string): Promise<number> {
    if (this.#router !== undefined) throw new TypeError('the bundle server has been started');
    const router = this.#options.createRouter();
    router.linger = 0;
    router.mandatory = false;
    router.sendHighWaterMark = MAX_CHUNKS_WAITING;
    router.receiveHighWaterMark = MAX_REQUESTS_WAITING;
    router.maxMessageSize = MAX_REQUEST_SIZE;
    this.#router = router;
    try {
      await router.bind(address);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#serving = this.#serve(router).catch((error: unknown) => {
      if (!router.closed) this.#options.log.error({ err: error }, 'the bundle channel broke');
    });
    return Number(router.lastEndpoint?.split(':').at(-1));
  }

  /** Closes the channel; ZeroMQ frees the port a moment later. May be called twice. */
  async stop(): Promise<void> {
    const router = this.#router;
    this.#router = undefined;
    if (router === undefined) return;
    router.close();
    await this.#serving;
  }

  async #serve(router: Router): Promise<void> {
    for await (const [peer, ...frames] of router) {
      for (const { message } of this.#decode(frames)) {
        const reply = await this.#answer(message);
        if (reply !== undefined) await router.send([peer ?? '', ...encode([reply])]);
      }
    }
  }

  #decode(frames: Buffer[]): Envelope<BundleRequest | Claim | Release>[] {
    try {
      return decode(frames, bundleChannelSchema).slice(0, MAX_FETCHES);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#options.log.debug({ reason: error.message }, 'dropped garbage on the bundle channel');
      return [];
    }
  }

  async #answer(
    message: BundleRequest | Claim | Release,
  ): Promise<Envelope<BundleReply | ClaimReply> | undefined> {
    switch (message.type) {
      case 'fetch':
        return await this.#chunk(message);
      case 'claim': {
        const { name } = message;
        return { message: { type: 'claimed', name, granted: this.#claims.claim(message) }, parts: [] };
      }
      case 'release':
        this.#claims.release(message);
        return undefined;
    }
  }

  /** A bundle that cannot be read is as good as missing: the worker then tells so, and its call is tried again. */
  async #chunk({ sha256, offset, length }: BundleRequest): Promise<Envelope<BundleReply>> {
    const { bundles, log } = this.#options;
    const part = await bundles.read(sha256, offset, length).catch((error: unknown) => {
      log.error({ err: error, sha256 }, 'cannot read a bundle');
      return undefined;
    });
    const found = part !== undefined;
    const message: BundleReply = { type: 'chunk', sha256, offset, size: part?.size ?? 0, found };
    return { message, parts: found ? [part.bytes] : [] };
  }
}
