import type { Logger } from 'pino';
import type { CallRecord, FunctionStore, VersionRecord } from '@panal/db';

/**
 * Versions that were deleted while calls accepted with them had not ended. Each is kept for those calls, which need it
 * when the broker starts anew, and goes with the last of them.
 */
export class KeptVersions {
  readonly #store: FunctionStore;
  readonly #log: Logger;
  /** Whether calls of this version have not ended. */
  readonly #isNeeded: (id: string) => boolean;
  /** Is told of a version that is kept no longer. */
  readonly #onGone: (version: VersionRecord) => void;
  readonly #ids = new Set<string>();

  constructor(
    store: FunctionStore,
    log: Logger,
    isNeeded: (id: string) => boolean,
    onGone: (version: VersionRecord) => void,
  ) {
    this.#store = store;
    this.#log = log;
    this.#isNeeded = isNeeded;
    this.#onGone = onGone;
  }

  /** The version that a call was accepted with, deleted or not. */
  async versionOf({ owner, funcName, version, functionId }: CallRecord): Promise<VersionRecord | undefined> {
    const registered = await this.#store.getVersion(owner, funcName, version);
    // A function that was deleted and registered anew has other versions of the same numbers.
    if (registered?.spec.id === functionId) return registered;
    return await this.#store.getKeptVersion(functionId);
  }

  /** Takes up what an earlier run kept, once its calls are known. */
  async recover(): Promise<void> {
    for (const id of await this.#store.listKeptVersions()) {
      this.#ids.add(id);
      this.release(id);
    }
  }

  /** Keeps those of `versions` that calls still need; on disk when this resolves. They may be deleted then. */
  async keep(versions: readonly VersionRecord[]): Promise<void> {
    const needed = versions.filter(({ spec }) => this.#isNeeded(spec.id));
    for (const { spec } of needed) this.#ids.add(spec.id);
    await Promise.all(needed.map((version) => this.#store.keepVersion(version)));
    for (const { spec } of needed) this.release(spec.id);
  }

  /** Forgets the version if it is a kept one, and no call needs it any more. */
  release(id: string): void {
    if (this.#ids.size === 0 || !this.#ids.has(id) || this.#isNeeded(id)) return;
    this.#ids.delete(id);
    // One that stays after all is found at the next start.
    this.#forget(id).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'a deleted version was not forgotten'),
    );
  }

  async #forget(id: string): Promise<void> {
    const version = await this.#store.getKeptVersion(id);
    if (version === undefined) return;
    await this.#store.forgetKeptVersion(id);
    // One of its calls may have been put back meanwhile.
    if (this.#isNeeded(id)) await this.keep([version]);
    else this.#onGone(version);
  }
}
