import type {
  BrokerAnswer,
  BundleReply,
  BundleRequest,
  Envelope,
  RequestHandler,
  WorkerRequest,
} from '@panal/transport';
import type { Logger } from 'pino';
import type { BundleStore } from './bundle-store.js';
import { Claims } from './claims.js';

export interface BundleServerOptions {
  bundles: Pick<BundleStore, 'read'>;
  log: Logger;
  /** Which worker makes what; nothing is claimed at first by default. */
  claims?: Claims;
}

/** Answers workers that ask for chunks of bundles, and for claims. */
export class BundleServer {
  readonly #options: BundleServerOptions;
  readonly #claims: Claims;

  constructor(options: BundleServerOptions) {
    this.#options = options;
    this.#claims = options.claims ?? new Claims();
  }

  readonly answer: RequestHandler = async (
    request: WorkerRequest,
  ): Promise<Envelope<BrokerAnswer> | undefined> => {
    switch (request.type) {
      case 'fetch':
        return await this.#chunk(request);
      case 'claim': {
        const { name } = request;
        return { message: { type: 'claimed', name, granted: this.#claims.claim(request) }, parts: [] };
      }
      case 'release':
        this.#claims.release(request);
        return undefined;
    }
  };

  /** A bundle that cannot be read is answered like a missing one: the worker reports it, and its call is tried again. */
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
