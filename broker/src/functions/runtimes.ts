import type { NameQuery, RuntimeRecord, FunctionStore } from '@panal/db';
import { PanalError, SYSTEM_OWNER, type RuntimeSpec } from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import { quotaExceeded } from './quota.js';

/** A runtime as an owner finds it under its name: its own, or a bundled one. */
export interface FoundRuntime {
  /** The owner, or `SYSTEM_OWNER`. */
  owner: string;
  spec: RuntimeSpec;
  /** Epoch ms; a bundled runtime has neither. */
  createdAt?: number;
  updatedAt?: number;
}

export interface RuntimesOptions {
  store: FunctionStore;
  bundled: readonly RuntimeSpec[];
  /** Most runtimes of one owner; unlimited by default. */
  most?: number;
}

/**
 * The runtimes of every owner, with the bundled ones behind them: an owner's runtime stands before a bundled one of
 * the same name, for that owner.
 */
export class Runtimes {
  readonly #store: FunctionStore;
  readonly #bundled: ReadonlyMap<string, RuntimeSpec>;
  readonly #most: number;
  /** By owner and name. */
  readonly #lock = new KeyedLock();
  /** By owner: registrations of new names, so that no two together go past the limit. */
  readonly #counting = new KeyedLock();

  constructor({ store, bundled, most = Infinity }: RuntimesOptions) {
    this.#store = store;
    this.#most = most;
    this.#bundled = new Map(bundled.map((spec) => [spec.name, spec]));
  }

  /**
   * Registers a runtime, or replaces the owner's one of that name. Functions registered before keep the runtime as it
   * was: each of their versions has a copy.
   * @throws PanalError QUOTA_EXCEEDED
   */
  async register(owner: string, spec: RuntimeSpec): Promise<{ runtime: FoundRuntime; replaced: boolean }> {
    return await this.#exclusive(owner, spec.name, async () => {
      const existing = await this.#store.getRuntime(owner, spec.name);
      const now = Date.now();
      const record = { ...spec, owner, createdAt: existing?.createdAt ?? now, updatedAt: now };
      if (existing === undefined) await this.#add(record);
      else await this.#store.putRuntime(record);
      return { runtime: found(record), replaced: existing !== undefined };
    });
  }

  /** @throws PanalError RUNTIME_NOT_FOUND */
  async get(owner: string, name: string): Promise<FoundRuntime> {
    const own = await this.#store.getRuntime(owner, name);
    if (own !== undefined) return found(own);
    const spec = this.#bundled.get(name);
    if (spec === undefined) throw notFound(name);
    return { owner: SYSTEM_OWNER, spec };
  }

  /** Names of the owner's runtimes and the bundled ones, in code-point order. */
  async list(query: NameQuery): Promise<string[]> {
    const own = await this.#store.listRuntimes(query);
    const bundled = [...this.#bundled.keys()].filter(
      (name) => query.after === undefined || name > query.after,
    );
    return [...new Set([...own, ...bundled])].sort().slice(0, query.limit);
  }

  /** Those of `images` that a runtime of the owner's has, or a bundled one. */
  async known(owner: string, images: ReadonlySet<string>): Promise<Set<string>> {
    const known = new Set(Array.from(this.#bundled.values(), ({ image }) => image));
    const others = [...images].filter((image) => !known.has(image));
    const own = await Promise.all(others.map((image) => this.#store.hasRuntimeImage(owner, image)));
    for (const [index, image] of others.entries()) if (own[index] === true) known.add(image);
    return known;
  }

  /** Runs `work` with the runtime, which cannot be replaced or deleted meanwhile. */
  async hold<T>(owner: string, name: string, work: (runtime: FoundRuntime) => Promise<T>): Promise<T> {
    return await this.#exclusive(owner, name, async () => work(await this.get(owner, name)));
  }

  /** @throws PanalError RUNTIME_NOT_FOUND, RUNTIME_IN_USE, or FORBIDDEN for a bundled runtime. */
  async delete(owner: string, name: string): Promise<void> {
    await this.hold(owner, name, async (runtime) => {
      if (runtime.owner !== owner) {
        throw new PanalError('FORBIDDEN', `the runtime ${name} comes with Panal and cannot be deleted`);
      }
      if (await this.#store.isRuntimeUsed(owner, owner, name)) {
        throw new PanalError('RUNTIME_IN_USE', `functions use the runtime ${name}`);
      }
      await this.#store.deleteRuntime(owner, name);
    });
  }

  async #add(record: RuntimeRecord): Promise<void> {
    const { owner } = record;
    await this.#counting.run(owner, async () => {
      if (this.#most !== Infinity) {
        const own = await this.#store.listRuntimes({ owner, limit: this.#most });
        if (own.length >= this.#most) throw quotaExceeded(`${this.#most} runtimes (FAAS_USER_RUNTIMES)`);
      }
      await this.#store.putRuntime(record);
    });
  }

  async #exclusive<T>(owner: string, name: string, work: () => Promise<T>): Promise<T> {
    return await this.#lock.run(`${owner}/${name}`, work);
  }
}

function found({ owner, createdAt, updatedAt, ...spec }: RuntimeRecord): FoundRuntime {
  return { owner, spec, createdAt, updatedAt };
}

const notFound = (name: string): PanalError =>
  new PanalError('RUNTIME_NOT_FOUND', `there is no runtime ${name}`);
