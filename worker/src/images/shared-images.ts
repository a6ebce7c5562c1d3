import { setTimeout as pause } from 'node:timers/promises';
import type { ImageReference } from '@panal/protocol';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { messageOf } from '../engine/errors.js';
import { PlatformError } from '../errors.js';
import type { Claims, HeldClaim } from '../link/claim-client.js';
import { inspectImage, type Image } from './image.js';
import type { Registry } from './registry.js';

/** Between two looks whether the worker that makes an image is done. */
const LOOK_MS = 250;
const MOST_WAIT_MS = 300_000;

export interface SharedImagesOptions {
  docker: Docker;
  /** Id of the engine: without a registry, only workers on the same one share images. */
  engine: string;
  registry: Registry | undefined;
  claims: Claims;
  /** Aborted when the worker stops. */
  closing: AbortSignal;
  /** Before what could not be pushed is pushed again, in ms; twice that before each later time. */
  retryMs: number;
  log: Logger;
}

/**
 * Images that Panal makes, each once in the cluster: whoever needs one first makes it, and pushes it to the registry
 * while it is used here already; the others pull it. Without a registry each engine has its own.
 */
export class SharedImages {
  readonly #options: SharedImagesOptions;
  /** References that are being pushed. */
  readonly #pushing = new Map<string, Promise<void>>();

  constructor(options: SharedImagesOptions) {
    this.#options = options;
  }

  /** Whether images go beyond this engine. */
  get shared(): boolean {
    return this.#options.registry !== undefined;
  }

  /** Whether images of this name are Panal's own, which no function or runtime can name. */
  owns({ domain, path }: ImageReference): boolean {
    const { registry } = this.#options;
    if (domain === 'docker.io' && path.startsWith('panal/')) return true;
    return registry !== undefined && `${domain}/${path}`.startsWith(`${registry.address}/panal-`);
  }

  /**
   * The image `panal/KIND:TAG`, or below the registry's address `panal-KIND:TAG`: from this engine, from the registry,
   * or made.
   * @throws PlatformError `REGISTRY_UNAVAILABLE`: it is not here, and the registry cannot be asked
   */
  async obtain(
    kind: string,
    tag: string,
    signal: AbortSignal,
    make: (reference: string) => Promise<void>,
  ): Promise<Image> {
    const { docker, registry, claims, engine } = this.#options;
    const reference =
      registry === undefined ? `panal/${kind}:${tag}` : `${registry.address}/panal-${kind}:${tag}`;
    const name = registry === undefined ? `${engine} ${reference}` : reference;
    for (;;) {
      const kept = await inspectImage(docker, reference);
      if (kept !== undefined) return this.#kept(reference, name, kept);
      const claim = await claims.take(name);
      if (claim !== undefined) return await this.#obtain({ reference, name, claim }, signal, make);
      await pause(LOOK_MS, undefined, { signal });
    }
  }

  /** Resolves once nothing is being pushed any more. */
  async pushed(): Promise<void> {
    await Promise.all(this.#pushing.values());
  }

  async #obtain(
    { reference, name, claim }: { reference: string; name: string; claim: HeldClaim },
    signal: AbortSignal,
    make: (reference: string) => Promise<void>,
  ): Promise<Image> {
    const { docker, registry } = this.#options;
    let mine: HeldClaim | undefined = claim;
    try {
      // Whoever had the claim before has made it, most likely.
      const made = await inspectImage(docker, reference);
      if (made !== undefined) return made;
      if ((await registry?.digestOf(reference, signal)) === undefined) {
        await make(reference);
        if (registry !== undefined) {
          this.#push(reference, name, claim);
          mine = undefined;
        }
      } else {
        await registry?.pull(reference, signal);
      }
      return await this.#found(reference);
    } finally {
      mine?.release();
    }
  }

  /** What was made here while the registry was away, or by a worker that was stopped then, is pushed now. */
  #kept(reference: string, name: string, image: Image): Image {
    const repository = reference.slice(0, reference.lastIndexOf(':'));
    const pushed = image.digests.some((digest) => digest.startsWith(`${repository}@`));
    if (this.shared && !pushed) this.#push(reference, name);
    return image;
  }

  /** Pushes in the background, unless another worker does, and tries again where that fails. */
  #push(reference: string, name: string, claim?: HeldClaim): void {
    if (this.#pushing.has(reference)) return;
    const pushing = this.#pushUntilDone(reference, name, claim).finally(() =>
      this.#pushing.delete(reference),
    );
    this.#pushing.set(reference, pushing);
  }

  /** Never rejects. */
  async #pushUntilDone(reference: string, name: string, held?: HeldClaim): Promise<void> {
    const { registry, claims, closing, log, retryMs } = this.#options;
    let claim = held;
    for (
      let wait = retryMs;
      registry !== undefined && !closing.aborted;
      wait = Math.min(2 * wait, MOST_WAIT_MS)
    ) {
      const since = performance.now();
      claim ??= await claims.take(name);
      if (claim === undefined) return;
      try {
        const digest = await registry.push(reference, closing);
        log.info({ image: reference, digest, ms: Math.round(performance.now() - since) }, 'image pushed');
        return;
      } catch (error) {
        log.warn({ image: reference, error: messageOf(error) }, 'image not pushed');
      } finally {
        claim.release();
        claim = undefined;
      }
      await pause(wait, undefined, { signal: closing, ref: false }).catch(() => undefined);
    }
  }

  async #found(reference: string): Promise<Image> {
    const image = await inspectImage(this.#options.docker, reference);
    if (image !== undefined) return image;
    throw new PlatformError('SANDBOX_FAILED', `the engine no longer has ${reference}, which was just made`);
  }
}
