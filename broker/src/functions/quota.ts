import type { FunctionStore, Usage, VersionRecord, VersionSummary } from '@panal/db';
import { bundleOf, PanalError } from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import { LRUCache } from 'lru-cache';

/** The most that an owner may store. */
export interface QuotaLimits {
  functions: number;
  /** Of all functions together. */
  versions: number;
  /** Of packed bundles; a bundle counts once, however many versions use it. */
  bytes: number;
}

/** Versions of an owner's, or a function with all of them. */
export interface Removed {
  versions: readonly VersionSummary[];
  functions: 0 | 1;
}

export interface QuotaOptions {
  store: Pick<FunctionStore, 'usageOf' | 'isBundleUsed'>;
  /** The limits of an owner; `undefined` for one without. */
  limitsOf: (owner: string) => QuotaLimits | undefined;
}

/** Owners whose usage is held in memory. */
const CACHED_OWNERS = 10_000;

/** Seconds after which a refused client may try again; it helps only when something was deleted meanwhile. */
const RETRY_AFTER = 60;

/**
 * Holds owners to what they may store. An owner's usage is counted once, and counted on from there; its changes go one
 * after the other, so that no two together go past a limit which each of them keeps.
 */
export class Quota {
  readonly #options: QuotaOptions;
  readonly #lock = new KeyedLock();
  readonly #usages = new LRUCache<string, Usage>({ max: CACHED_OWNERS });

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /**
   * Lets `write` store a version, of a new function or not, where there is room for it.
   * @throws PanalError QUOTA_EXCEEDED, or what `write` throws
   */
  async store({ spec }: VersionRecord, isNew: boolean, write: () => Promise<void>): Promise<void> {
    const limits = this.#options.limitsOf(spec.owner);
    if (limits === undefined) {
      await write();
      return;
    }
    await this.#change(spec.owner, write, async (usage) => {
      const functions = usage.functions + (isNew ? 1 : 0);
      const bundle = bundleOf(spec);
      const bytes = usage.bytes + (bundle === undefined ? 0 : await this.#sizeOf(spec.owner, bundle));
      const versions = usage.versions + 1;
      if (isNew && functions > limits.functions) {
        throw quotaExceeded(`${limits.functions} functions (FAAS_USER_FUNCTIONS)`);
      }
      if (versions > limits.versions) {
        const most = `${limits.versions} versions of functions (FAAS_USER_VERSIONS)`;
        throw quotaExceeded(most, 'old ones, by DELETE /functions/:name/versions/:version,');
      }
      if (bytes > limits.bytes && bytes > usage.bytes) {
        throw quotaExceeded(`${limits.bytes} bytes of bundles (FAAS_USER_BYTES)`);
      }
      return () => ({ functions, versions, bytes });
    });
  }

  /** Lets `write` remove versions. */
  async remove(owner: string, removed: Removed, write: () => Promise<void>): Promise<void> {
    if (this.#options.limitsOf(owner) === undefined) {
      await write();
      return;
    }
    const bundles = new Map(
      removed.versions.flatMap(({ code }) => (code === undefined ? [] : [[code.bundle.sha256, code.bundle]])),
    );
    await this.#change(owner, write, async ({ functions, versions, bytes }) => async () => {
      let left = bytes;
      // What no other version of the owner's uses counts no more.
      for (const bundle of bundles.values()) left -= await this.#sizeOf(owner, bundle);
      return {
        functions: functions - removed.functions,
        versions: versions - removed.versions.length,
        bytes: left,
      };
    });
  }

  /** `plan` looks at the usage before the write; what it returns tells the usage after it. */
  async #change(
    owner: string,
    write: () => Promise<void>,
    plan: (usage: Usage) => Promise<() => Usage | Promise<Usage>>,
  ): Promise<void> {
    await this.#lock.run(owner, async () => {
      const usage = this.#usages.get(owner) ?? (await this.#options.store.usageOf(owner));
      this.#usages.set(owner, usage);
      const after = await plan(usage);
      // Where anything fails from here on, it is counted anew.
      this.#usages.delete(owner);
      await write();
      this.#usages.set(owner, await after());
    });
  }

  /** What a bundle counts for that the owner does not have. */
  async #sizeOf(owner: string, { sha256, size }: { sha256: string; size: number }): Promise<number> {
    return (await this.#options.store.isBundleUsed(sha256, owner)) ? 0 : size;
  }
}

/** @param limit what an owner may store at most; @param which what of it to delete */
export const quotaExceeded = (limit: string, which = 'some'): PanalError =>
  new PanalError('QUOTA_EXCEEDED', `a user may store ${limit}; delete ${which} first`, {
    retryAfter: RETRY_AFTER,
  });
