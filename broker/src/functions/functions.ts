import type {
  FunctionRecord,
  NameQuery,
  FunctionStore,
  VersionQuery,
  VersionRecord,
  VersionSummary,
} from '@panal/db';
import {
  PanalError,
  type Capability,
  type FunctionSettings,
  type FunctionSpec,
  type Support,
} from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import { LRUCache } from 'lru-cache';
import type { BundleKeeper } from '../bundles/bundle-keeper.js';
import { memoryOf } from '../calls/call-memory.js';
import { cappedVersion } from './ceilings.js';
import { entryPoints, impliedSettings } from './entry-points.js';
import { Quota, type QuotaLimits, type Removed } from './quota.js';
import type { Runtimes } from './runtimes.js';
import { completeSettings, type SettingDefaults } from './settings.js';
import { makeVersion, sourceOf, type VersionSource } from './versions.js';

/** What runs functions, as far as their registry must know it. */
export interface FunctionHosts {
  support(capability: Capability): Support;
  /** Calls get the version `next` from now on, no longer `before`. Calls that `before` was given still run. */
  replace(before: string, next: string): void;
  /** These versions are gone: sandboxes kept for them may go. Calls they were given still run. */
  retire(functionIds: readonly string[]): void;
}

/** The calls that were accepted with versions. */
export interface VersionHolders {
  /** Sees to it that calls can still run with these versions, which are about to be deleted. */
  keepVersions(ids: readonly string[]): Promise<void>;
}

/** What `Functions` stands on. */
export interface FunctionsOptions {
  store: FunctionStore;
  runtimes: Runtimes;
  bundles: Pick<BundleKeeper, 'adopt' | 'discard'>;
  hosts: FunctionHosts;
  calls: VersionHolders;
  /** What an owner may store; `undefined`, as by default, for no limits. */
  limitsOf?: (owner: string) => QuotaLimits | undefined;
  defaults: SettingDefaults;
}

/** A function with the version that calls of it get. */
export interface FunctionDetail {
  record: FunctionRecord;
  active: VersionRecord;
}

/** Active versions held in memory, so that an invocation reads nothing from the store. */
const CACHED_VERSIONS = 10_000;

/** Bytes of memory that they may take: their commands and environments may be long. */
const CACHED_BYTES = 32 * 1024 * 1024;

/** Functions deleted side by side with their owner. */
const DELETED_AT_ONCE = 50;

/**
 * The functions of every owner. Each registration and each change of settings makes a version, immutable and whole.
 * Changes of one function are made one after the other, so that two never claim the same version number.
 */
export class Functions {
  readonly #options: FunctionsOptions;
  readonly #lock = new KeyedLock();
  readonly #active = new LRUCache<string, VersionRecord>({
    max: CACHED_VERSIONS,
    maxSize: CACHED_BYTES,
    sizeCalculation: memoryOf,
  });
  readonly #quota: Quota;

  constructor(options: FunctionsOptions) {
    this.#options = options;
    this.#quota = new Quota({ limitsOf: () => undefined, ...options });
  }

  /**
   * The version that a call accepted now gets. It may be deleted as soon as anything else is waited for: accept the call
   * in the same turn.
   * @throws PanalError FUNCTION_NOT_FOUND
   */
  async active(owner: string, name: string): Promise<VersionRecord> {
    return this.#active.get(keyOf(owner, name)) ?? (await this.get(owner, name)).active;
  }

  /** @throws PanalError FUNCTION_NOT_FOUND */
  async get(owner: string, name: string): Promise<FunctionDetail> {
    // In turn with the changes of the function: a read beside one could put back into memory what it replaced.
    return await this.#exclusive(owner, name, () => this.#read(owner, name));
  }

  /** Names in code-point order. */
  async list(query: NameQuery): Promise<string[]> {
    return await this.#options.store.listFunctions(query);
  }

  /** Version numbers, ascending. */
  async versions(owner: string, name: string): Promise<number[]> {
    return await this.#options.store.listVersions(owner, name);
  }

  /**
   * Versions, in the order of their numbers.
   * @throws PanalError FUNCTION_NOT_FOUND
   */
  async history(query: VersionQuery): Promise<{ active: number; versions: VersionSummary[] }> {
    const { owner, name } = query;
    return await this.#exclusive(owner, name, async () => {
      const { record } = await this.#read(owner, name);
      return { active: record.activeVersion, versions: await this.#options.store.listSummaries(query) };
    });
  }

  /** @throws PanalError NO_CONTAINER_ENGINE, INVALID_REQUEST, QUOTA_EXCEEDED; with `onlyNew` ALREADY_EXISTS */
  async registerImage(
    owner: string,
    name: string,
    image: string,
    settings: FunctionSettings,
    { onlyNew = false } = {},
  ): Promise<FunctionDetail> {
    return await this.#exclusive(owner, name, async () => {
      if (onlyNew && (await this.#find(owner, name)) !== undefined) {
        throw new PanalError('ALREADY_EXISTS', `there is a function ${name} already`);
      }
      return await this.#publish(owner, name, { code: { image }, settings });
    });
  }

  /**
   * Registers an uploaded file on a runtime.
   * @throws PanalError RUNTIME_NOT_FOUND, INVALID_REQUEST, QUOTA_EXCEEDED, or what is wrong with the archive.
   */
  async registerBundle(
    owner: string,
    name: string,
    runtimeName: string,
    file: string,
    settings: FunctionSettings,
  ): Promise<FunctionDetail> {
    const { runtimes, bundles, defaults } = this.#options;
    // Refused before the archive is read through, where it can be.
    const { spec } = await runtimes.get(owner, runtimeName);
    completeSettings(settings, spec, defaults);
    return await bundles.adopt(
      file,
      async (bundle, rootFiles) =>
        await runtimes.hold(owner, runtimeName, async (runtime) => {
          const code = { runtime: runtime.spec, runtimeOwner: runtime.owner, bundle };
          const source = { code, settings: { ...impliedSettings(runtime.spec, rootFiles), ...settings } };
          return await this.#exclusive(owner, name, () => this.#publish(owner, name, source));
        }),
      entryPoints(spec),
    );
  }

  /**
   * Makes the next version from the active one, with the given settings changed, or another image.
   * @throws PanalError FUNCTION_NOT_FOUND, INVALID_REQUEST, NO_CONTAINER_ENGINE
   */
  async change(
    owner: string,
    name: string,
    image: string | undefined,
    changes: FunctionSettings,
  ): Promise<FunctionDetail> {
    return await this.#exclusive(owner, name, async () => {
      const { active } = await this.#read(owner, name);
      const { code, settings } = sourceOf(active);
      if (image !== undefined && !('image' in code)) {
        throw new PanalError('INVALID_REQUEST', `image: ${name} runs a bundle; upload the next one`);
      }
      return await this.#publish(owner, name, {
        code: image === undefined ? code : { image },
        settings: { ...settings, ...changes },
      });
    });
  }

  /**
   * Makes an existing version the active one.
   * @throws PanalError FUNCTION_NOT_FOUND, VERSION_NOT_FOUND
   */
  async activate(owner: string, name: string, version: number): Promise<FunctionDetail> {
    return await this.#exclusive(owner, name, async () => {
      const { record, active } = await this.#read(owner, name);
      if (version === record.activeVersion) return { record, active };
      const next = await this.#version(owner, name, version);
      const changed = { ...record, activeVersion: version, updatedAt: Date.now() };
      await this.#options.store.putFunction(changed);
      this.#replace(next, active);
      return { record: changed, active: next };
    });
  }

  /**
   * Binds a version to the image that the name of its image, or of its runtime's, stood for when it first ran.
   * @returns the digest that the version is bound to: the first one stays
   */
  async bindImage(spec: FunctionSpec, imageDigest: string): Promise<string> {
    const { owner, name, id } = spec;
    return await this.#exclusive(owner, name, async () => {
      const bound = await this.#options.store.bindImage(spec, imageDigest);
      const active = this.#active.get(keyOf(owner, name))?.spec;
      if (active?.id === id) active.imageDigest = bound;
      return bound;
    });
  }

  /** @throws PanalError FUNCTION_NOT_FOUND */
  async delete(owner: string, name: string): Promise<void> {
    await this.#options.bundles.discard(await this.#remove(owner, name));
  }

  /** Deletes all functions of an owner who is being deleted, and code of theirs that nobody else uses. */
  async deleteAll(owner: string): Promise<void> {
    for (let names; (names = await this.list({ owner, limit: DELETED_AT_ONCE })).length > 0;) {
      const versions = await Promise.all(names.map((name) => this.#remove(owner, name)));
      await this.#options.bundles.discard(versions.flat());
    }
  }

  /**
   * Deletes one version. Calls that were accepted with it still run.
   * @throws PanalError FUNCTION_NOT_FOUND, VERSION_NOT_FOUND; VERSION_IN_USE for the active one
   */
  async deleteVersion(owner: string, name: string, number: number): Promise<void> {
    const { store, bundles } = this.#options;
    const deleted = await this.#exclusive(owner, name, async () => {
      const { record } = await this.#read(owner, name);
      const version = await store.getSummary(owner, name, number);
      if (version === undefined) throw noVersion(name, number);
      if (number === record.activeVersion) {
        throw new PanalError('VERSION_IN_USE', `calls of ${name} get version ${number}; go to another first`);
      }
      await this.#giveUp(owner, { versions: [version], functions: 0 }, () =>
        store.deleteVersion(owner, name, number),
      );
      return version;
    });
    await bundles.discard([deleted]);
  }

  /** Deletes a function, and gives the versions that it had. */
  async #remove(owner: string, name: string): Promise<VersionSummary[]> {
    return await this.#exclusive(owner, name, async () => {
      await this.#read(owner, name);
      // First of all: who asks from now on waits in line, and until the versions are read those who had it have accepted.
      this.#active.delete(keyOf(owner, name));
      const versions = await this.#options.store.listSummaries({ owner, name });
      const removed = { versions, functions: 1 } as const;
      await this.#giveUp(owner, removed, () => this.#options.store.deleteFunction(owner, name));
      return versions;
    });
  }

  async #giveUp(owner: string, removed: Removed, write: () => Promise<void>): Promise<void> {
    const { hosts, calls } = this.#options;
    const ids = removed.versions.map(({ id }) => id);
    await calls.keepVersions(ids);
    await this.#quota.remove(owner, removed, write);
    // Again: a call of theirs may have been put back meanwhile.
    await calls.keepVersions(ids);
    hosts.retire(ids);
  }

  async #exclusive<T>(owner: string, name: string, work: () => Promise<T>): Promise<T> {
    return await this.#lock.run(keyOf(owner, name), work);
  }

  async #find(owner: string, name: string): Promise<FunctionDetail | undefined> {
    const { store } = this.#options;
    const record = await store.getFunction(owner, name);
    if (record === undefined) return undefined;
    const key = keyOf(owner, name);
    const active = this.#active.get(key) ?? (await this.#stored(owner, name, record.activeVersion));
    if (active === undefined)
      throw new Error(`version ${record.activeVersion} of ${key} is not in the store`);
    this.#active.set(key, active);
    return { record, active };
  }

  async #read(owner: string, name: string): Promise<FunctionDetail> {
    const detail = await this.#find(owner, name);
    if (detail === undefined) throw new PanalError('FUNCTION_NOT_FOUND', `there is no function ${name}`);
    return detail;
  }

  async #version(owner: string, name: string, number: number): Promise<VersionRecord> {
    const version = await this.#stored(owner, name, number);
    if (version === undefined) throw noVersion(name, number);
    return version;
  }

  async #stored(owner: string, name: string, number: number): Promise<VersionRecord | undefined> {
    const { store, defaults } = this.#options;
    const version = await store.getVersion(owner, name, number);
    return version && cappedVersion(version, defaults);
  }

  /** Stores the next version and makes it the active one. */
  async #publish(owner: string, name: string, source: VersionSource): Promise<FunctionDetail> {
    const { store, hosts, defaults } = this.#options;
    if ('image' in source.code && hosts.support('images') === 'none') {
      throw new PanalError('NO_CONTAINER_ENGINE', 'no worker has a container engine to run an image with');
    }
    const existing = await this.#find(owner, name);
    const version = (existing?.record.latestVersion ?? 0) + 1;
    const active = makeVersion({ owner, name, version }, source, defaults);
    const record = {
      owner,
      name,
      activeVersion: version,
      latestVersion: version,
      createdAt: existing?.record.createdAt ?? active.createdAt,
      updatedAt: active.createdAt,
    };
    await this.#quota.store(active, existing === undefined, () => store.putFunction(record, active));
    this.#replace(active, existing?.active);
    return { record, active };
  }

  #replace(active: VersionRecord, before: VersionRecord | undefined): void {
    this.#active.set(keyOf(active.spec.owner, active.spec.name), active);
    if (before !== undefined) this.#options.hosts.replace(before.spec.id, active.spec.id);
  }
}

const noVersion = (name: string, number: number): PanalError =>
  new PanalError('VERSION_NOT_FOUND', `${name} has no version ${number}`);

const keyOf = (owner: string, name: string): string => `${owner}/${name}`;
