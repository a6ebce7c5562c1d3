import type { FunctionStore, VersionSummary } from '@panal/db';
import type { BundleRef } from '@panal/protocol';
import type { Logger } from 'pino';
import { Periodic } from '../periodic.js';
import type { BundleStore } from './bundle-store.js';

/** Between looks at all that is kept, in ms. */
const EVERY_MS = 3600 * 1000;

export interface BundleKeeperOptions {
  bundles: Pick<BundleStore, 'adopt' | 'remove' | 'list'>;
  store: Pick<FunctionStore, 'isBundleUsed'>;
  log: Logger;
}

/**
 * Keeps uploaded code for as long as a version uses it: one that is registered, of any owner, or one that is kept for
 * its calls.
 *
 * The rule: a bundle is removed under the lock of its digest, and only when the store names no version that uses it. A
 * registration holds that lock from before the file is there until its version is stored, or was refused. So whatever
 * is found unused under the lock, nobody is about to use; and whoever uploads the same code next brings a file of his
 * own. Every version that calls were accepted with is in the store, so that nothing else needs to be asked. A backup
 * has links of its own.
 *
 * What goes out of use is removed at once. Where that fails, or the broker dies before it, the file is found at the
 * next start, or within the hour.
 */
export class BundleKeeper {
  readonly #options: BundleKeeperOptions;
  readonly #sweeps: Periodic;

  constructor(options: BundleKeeperOptions) {
    this.#options = options;
    this.#sweeps = new Periodic({
      work: (signal) => this.sweep(signal),
      everyMs: EVERY_MS,
      failure: 'bundles that no version uses were not all removed',
      log: options.log,
    });
  }

  /** Looks at every bundle, now and every hour. */
  start(): void {
    this.#sweeps.start();
  }

  async stop(): Promise<void> {
    await this.#sweeps.stop();
  }

  /**
   * Takes in an uploaded file, for `use` to store a version of; where that fails, it is given up again.
   * @param begins whether code begins in a file of this name, which then must be at the root
   * @throws PanalError where it is no sound archive; what `use` throws
   */
  async adopt<T>(
    file: string,
    use: (bundle: BundleRef, rootFiles: readonly string[]) => Promise<T>,
    begins?: (name: string) => boolean,
  ): Promise<T> {
    let sha256: string | undefined;
    const noted = async (bundle: BundleRef, rootFiles: readonly string[]): Promise<T> => {
      sha256 = bundle.sha256;
      return await use(bundle, rootFiles);
    };
    try {
      return await this.#options.bundles.adopt(file, noted, begins);
    } catch (error) {
      if (sha256 !== undefined) await this.#discard(sha256);
      throw error;
    }
  }

  /** These versions are gone: removes the bundles that they used, but those that others use. */
  async discard(versions: readonly VersionSummary[]): Promise<void> {
    const bundles = versions.flatMap(({ code }) => (code === undefined ? [] : [code.bundle.sha256]));
    for (const sha256 of new Set(bundles)) await this.#discard(sha256);
  }

  /** Removes every bundle that no version uses. */
  async sweep(signal?: AbortSignal): Promise<void> {
    const { bundles, log } = this.#options;
    let removed = 0;
    for (const sha256 of await bundles.list()) {
      if (signal?.aborted === true) break;
      if (await this.#removeUnused(sha256)) removed++;
    }
    if (removed > 0) log.info({ bundles: removed }, 'removed bundles that no version uses');
  }

  /** What was to be done is done, or has failed already; a bundle that stays is found by its disuse. */
  async #discard(sha256: string): Promise<void> {
    await this.#removeUnused(sha256).catch((error: unknown) => {
      this.#options.log.warn({ err: error, sha256 }, 'a bundle that no version uses was not removed');
    });
  }

  async #removeUnused(sha256: string): Promise<boolean> {
    const { bundles, store } = this.#options;
    return await bundles.remove(sha256, () => store.isBundleUsed(sha256));
  }
}
