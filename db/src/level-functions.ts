import type { FunctionSpec } from '@panal/protocol';
import type { KeyedLock } from '@panal/support';
import {
  writesOfFunction,
  writesOfKept,
  writesOfRemoval,
  writesOfRuntime,
  writesOfRuntimeRemoval,
  writesOfVersion,
  writesOfVersionRemoval,
} from './function-index.js';
import { keyOf, nameOf, numberOf, under } from './keys.js';
import type { Medium } from './medium.js';
import { decodeValue, jsonDecoder } from './record-codec.js';
import type { FunctionRecord, RuntimeRecord, VersionRecord, VersionSummary } from './records.js';
import {
  functionRecordSchema,
  runtimeRecordSchema,
  versionRecordSchema,
  versionSummarySchema,
} from './schemas.js';
import type { FunctionStore, NameQuery, Usage, VersionQuery } from './store.js';

/** The runtimes and functions of a `LevelStore`. */
export class LevelFunctions implements FunctionStore {
  readonly #medium: Medium;
  readonly #lock: KeyedLock;

  /** @param lock keeps writes of the same record apart, those of other ports as well */
  constructor(medium: Medium, lock: KeyedLock) {
    this.#medium = medium;
    this.#lock = lock;
  }

  async getRuntime(owner: string, name: string): Promise<RuntimeRecord | undefined> {
    return await this.#medium.getJson(keyOf('runtime', owner, name), runtimeRecordSchema);
  }

  async putRuntime(runtime: RuntimeRecord): Promise<void> {
    const { owner, name } = runtime;
    // Under the lock, so that no entry of an image stays that is not the runtime's.
    await this.#lock.run(keyOf('runtime', owner, name), async () => {
      await this.#medium.commit(writesOfRuntime(runtime, await this.getRuntime(owner, name)));
    });
  }

  async deleteRuntime(owner: string, name: string): Promise<void> {
    await this.#lock.run(keyOf('runtime', owner, name), async () => {
      const runtime = await this.getRuntime(owner, name);
      if (runtime !== undefined) await this.#medium.commit(writesOfRuntimeRemoval(runtime));
    });
  }

  async listRuntimes(query: NameQuery): Promise<string[]> {
    return await this.#names('runtime', query);
  }

  async hasRuntimeImage(owner: string, image: string): Promise<boolean> {
    return await this.#medium.hasAny(under(keyOf('runtime-image', owner, image)));
  }

  async isRuntimeUsed(owner: string, runtimeOwner: string, name: string): Promise<boolean> {
    return await this.#medium.hasAny(under(keyOf('uses-runtime', owner, runtimeOwner, name)));
  }

  async getFunction(owner: string, name: string): Promise<FunctionRecord | undefined> {
    return await this.#medium.getJson(keyOf('function', owner, name), functionRecordSchema);
  }

  async getVersion(owner: string, name: string, version: number): Promise<VersionRecord | undefined> {
    return await this.#medium.getJson(keyOf('version', owner, name, version), versionRecordSchema);
  }

  async putFunction(record: FunctionRecord, version?: VersionRecord): Promise<void> {
    await this.#lock.run(keyOf('function', record.owner, record.name), () =>
      this.#medium.commit(writesOfFunction(record, version)),
    );
  }

  async deleteFunction(owner: string, name: string): Promise<void> {
    // Under the lock no version is written between reading which there are and removing them.
    await this.#lock.run(keyOf('function', owner, name), async () => {
      const versions = await this.listSummaries({ owner, name });
      await this.#medium.commit(writesOfRemoval(owner, name, versions));
    });
  }

  async deleteVersion(owner: string, name: string, version: number): Promise<void> {
    await this.#lock.run(keyOf('function', owner, name), async () => {
      const summary = await this.getSummary(owner, name, version);
      if (summary !== undefined) await this.#medium.commit(writesOfVersionRemoval(owner, name, summary));
    });
  }

  async listFunctions(query: NameQuery): Promise<string[]> {
    return await this.#names('function', query);
  }

  async #names(kind: 'function' | 'runtime', { owner, after, limit }: NameQuery): Promise<string[]> {
    const { gte, lt } = under(keyOf(kind, owner));
    const range = after === undefined ? { gte, lt } : { gt: keyOf(kind, owner, after), lt };
    return (await this.#medium.keys(range, limit)).map(nameOf);
  }

  async listVersions(owner: string, name: string): Promise<number[]> {
    return (await this.#medium.keys(under(keyOf('version', owner, name)))).map(numberOf);
  }

  async getSummary(owner: string, name: string, version: number): Promise<VersionSummary | undefined> {
    return await this.#medium.getJson(keyOf('version-summary', owner, name, version), versionSummarySchema);
  }

  async listSummaries({ owner, name, after = 0, limit = -1 }: VersionQuery): Promise<VersionSummary[]> {
    const { lt } = under(keyOf('version-summary', owner, name));
    const range = { gt: keyOf('version-summary', owner, name, after), lt };
    const decoder = jsonDecoder(versionSummarySchema);
    return await this.#medium.read(async (database) => {
      const entries = await database.iterator({ ...range, limit }).all();
      return entries.map(([key, value]) => decodeValue(key, value, decoder));
    });
  }

  async isBundleUsed(sha256: string, owner?: string): Promise<boolean> {
    const parts = owner === undefined ? [sha256] : [sha256, owner];
    return await this.#medium.hasAny(under(keyOf('uses-bundle', ...parts)));
  }

  async usageOf(owner: string): Promise<Usage> {
    const functions = (await this.#medium.keys(under(keyOf('function', owner)))).length;
    const decoder = jsonDecoder(versionSummarySchema);
    return await this.#medium.read(async (database) => {
      const bundles = new Map<string, number>();
      let versions = 0;
      for await (const [key, value] of database.iterator(under(keyOf('version-summary', owner)))) {
        const { code } = decodeValue(key, value, decoder);
        versions++;
        if (code !== undefined) bundles.set(code.bundle.sha256, code.bundle.size);
      }
      return { functions, versions, bytes: [...bundles.values()].reduce((sum, size) => sum + size, 0) };
    });
  }

  async bindImage({ owner, name, version, id }: FunctionSpec, imageDigest: string): Promise<string> {
    return await this.#lock.run(keyOf('function', owner, name), async () => {
      const registered = await this.getVersion(owner, name, version);
      const isRegistered = registered?.spec.id === id;
      const stored = isRegistered ? registered : await this.getKeptVersion(id);
      if (stored === undefined) return imageDigest;
      if (stored.spec.imageDigest !== undefined) return stored.spec.imageDigest;
      const bound = { ...stored, spec: { ...stored.spec, imageDigest } };
      await this.#medium.commit(isRegistered ? writesOfVersion(bound) : writesOfKept(bound));
      return imageDigest;
    });
  }

  async keepVersion(version: VersionRecord): Promise<void> {
    await this.#medium.commit(writesOfKept(version));
  }

  async getKeptVersion(id: string): Promise<VersionRecord | undefined> {
    return await this.#medium.getJson(keyOf('kept-version', id), versionRecordSchema);
  }

  async listKeptVersions(): Promise<string[]> {
    return (await this.#medium.keys(under(keyOf('kept-version')))).map(nameOf);
  }

  async forgetKeptVersion(id: string): Promise<void> {
    const version = await this.getKeptVersion(id);
    if (version !== undefined) await this.#medium.commit(writesOfKept(version, { gone: true }));
  }
}
