import { PanalError } from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import type { z } from 'zod';
import { observed, type CommitObserver } from './commit-observer.js';
import { batchWriter, openDatabase, readFailure, type Database } from './database.js';
import { GroupCommit, type Write } from './group-commit.js';
import { LogSync } from './log-sync.js';
import type { Range } from './keys.js';
import { decodeValue, jsonDecoder } from './record-codec.js';
import { markStore, prepareStoreFolder } from './store-marker.js';
import { adding, sumSchema } from './sums.js';

/**
 * What survives a power cut. `fsync`: what was accepted, before its client hears of it, and how a call ended within
 * 100 ms. `strict`: that before anybody hears of it, too. `os`: what the operating system has written by then. In each
 * of them all survives the death of the process.
 */
export type Durability = 'fsync' | 'strict' | 'os';

/**
 * Where a write has to be when its promise resolves. `accepted`: on disk, but with `os`. `ended`: on disk with `strict`.
 * `later`: with the operating system. `always`: on disk, whatever the durability.
 */
export type WriteKind = 'accepted' | 'ended' | 'later' | 'always';

const SYNCED: Readonly<Record<Durability, readonly WriteKind[]>> = {
  fsync: ['accepted', 'always'],
  strict: ['accepted', 'ended', 'always'],
  os: ['always'],
};

interface Connection {
  database: Database;
  commits: GroupCommit;
  /** What sees to the writes that are not synced at once; not with `os`. */
  sync: LogSync | undefined;
}

export interface MediumOptions {
  /** A folder, which is made if it is missing, with the folders above it. */
  location: string;
  /** Makes the database. It is opened in the turn in which it is made. */
  makeDatabase: (location: string) => Database;
  durability: Durability;
  observer?: CommitObserver | undefined;
}

/** What `LevelStore` writes to and reads from: a database that is open or not, and commits that writers share. */
export class Medium {
  readonly #options: MediumOptions;
  readonly #lock = new KeyedLock();
  #connection: Connection | undefined;
  #torn = false;

  constructor(options: MediumOptions) {
    this.#options = options;
  }

  /**
   * Opens the database, unless it is open.
   * @param prepare is run once it is open; where that fails, it is closed again.
   */
  async open(prepare: () => Promise<void>): Promise<void> {
    await this.#lock.run('connection', async () => {
      if (this.#connection !== undefined) return;
      const { location } = this.#options;
      const createIfMissing = await prepareStoreFolder(location);
      const database = this.#options.makeDatabase(location);
      await openDatabase(database, { createIfMissing });
      await markStore(location).catch(async (error: unknown) => {
        await database.close();
        throw error;
      });
      const { observer, durability } = this.#options;
      const write = batchWriter(database, (torn) => (this.#torn = torn));
      const commits = new GroupCommit(
        adding(observed(write, observer), (key) => this.getJson(key, sumSchema)),
      );
      const sync = durability === 'os' ? undefined : new LogSync(database.location, () => observer?.failed());
      this.#connection = { database, commits, sync };
      try {
        await prepare();
      } catch (error) {
        await this.#disconnect();
        throw error;
      }
    });
  }

  /** Whether the last write failed. */
  get failing(): boolean {
    return this.#torn;
  }

  /** Waits for the writes under way. */
  async close(): Promise<void> {
    await this.#lock.run('connection', () => this.#disconnect());
  }

  /** @param ended the call whose end is written */
  async commit(writes: Iterable<Write>, kind: WriteKind = 'accepted', ended?: number): Promise<void> {
    const { commits, sync } = this.#connected();
    const synced = SYNCED[this.#options.durability].includes(kind);
    await commits.commit(writes, synced ? 'sync' : 'os');
    if (!synced) sync?.wrote(ended === undefined ? [] : [ended]);
  }

  /** Resolves once it is on disk how these calls ended, with a durability that puts it there. */
  async ended(callNums: readonly number[]): Promise<void> {
    const { sync } = this.#connected();
    if (sync !== undefined && callNums.some((callNum) => sync.has(callNum))) await sync.flush();
  }

  async read<T>(task: (database: Database) => Promise<T>): Promise<T> {
    try {
      return await task(this.#connected().database);
    } catch (error) {
      throw readFailure(error);
    }
  }

  async get<T>(key: string, decoder: (bytes: Uint8Array) => T): Promise<T | undefined> {
    const value = await this.read<Uint8Array | undefined>((database) => database.get(key));
    return value && decodeValue(key, value, decoder);
  }

  async getJson<T>(key: string, schema: z.ZodType<T>): Promise<T | undefined> {
    return await this.get(key, jsonDecoder(schema));
  }

  async has(key: string): Promise<boolean> {
    return await this.read((database) => database.has(key));
  }

  async keys(range: Range | { gt: string; lt: string }, limit = -1): Promise<string[]> {
    return await this.read((database) => database.keys({ ...range, limit }).all());
  }

  async hasAny(range: Range): Promise<boolean> {
    return (await this.keys(range, 1)).length > 0;
  }

  async #disconnect(): Promise<void> {
    if (this.#connection === undefined) return;
    const { database, commits, sync } = this.#connection;
    this.#connection = undefined;
    await commits.idle();
    try {
      await sync?.close();
    } finally {
      await database.close();
    }
  }

  #connected(): Connection {
    if (this.#connection === undefined) throw new PanalError('STORE_UNAVAILABLE', 'the store is not open');
    return this.#connection;
  }
}
