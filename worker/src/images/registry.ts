import type Docker from 'dockerode';
import { messageOf, statusOf } from '../engine/errors.js';
import { followProgress } from '../engine/progress.js';
import { FunctionError, PlatformError } from '../errors.js';
import type { Credentials } from './credentials.js';
import { digestInRegistry, pull } from './pull.js';

/**
 * The registry through which workers share images. It is the engine that speaks to it: addresses mean what they mean to
 * the engine, and nothing has to be set up twice. All failures are the platform's, with the code `REGISTRY_UNAVAILABLE`.
 */
export class Registry {
  /** Host, port and path: what the names of its images begin with. */
  readonly address: string;
  readonly #docker: Docker;
  readonly #credentials: Credentials;

  constructor(address: string, docker: Docker, credentials: Credentials) {
    this.address = address;
    this.#docker = docker;
    this.#credentials = credentials;
  }

  /** Digest of what the registry has under this name; `undefined`: nothing. */
  async digestOf(reference: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      return await digestInRegistry(this.#docker, reference, this.#credentials, signal);
    } catch (cause) {
      if (statusOf(cause) === 404) return undefined;
      throw unavailable(`asking for ${reference}`, cause, signal);
    }
  }

  /** Pulls what is under this name. */
  async pull(reference: string, signal: AbortSignal): Promise<void> {
    try {
      await pull(this.#docker, reference, this.#credentials, signal);
    } catch (cause) {
      throw unavailable(`pulling ${reference}`, cause, signal);
    }
  }

  /** Pushes the image of this name, and gives its digest; layers that are there already are not sent again. */
  async push(reference: string, signal: AbortSignal): Promise<string> {
    try {
      // Without credentials, too, the engine wants to be told so.
      const options = { authconfig: await this.#credentials.for(reference), abortSignal: signal };
      const digest = await followProgress(await this.#docker.getImage(reference).push(options));
      if (digest === undefined) throw new Error('the engine named no digest');
      return digest;
    } catch (cause) {
      throw unavailable(`pushing ${reference}`, cause, signal);
    }
  }
}

function unavailable(what: string, cause: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return cause;
  const expected = cause instanceof FunctionError || cause instanceof PlatformError;
  const message = expected ? cause.error.message : `${what}: ${messageOf(cause)}`;
  return new PlatformError('REGISTRY_UNAVAILABLE', message, { cause });
}
