import { PanalError } from '@panal/protocol';
import type { z } from 'zod';
import { observed, type CommitObserver } from './commit-observer.js';
import { batchWriter, openDatabase, readFailure, type Database } from './database.js';
import { GroupCommit, type Urgency, type Write } from './group-commit.js';
import { KeyedLock } from './keyed-lock.js';
import type { Range } from './keys.js';
import { decodeValue, jsonDecoder } from './record-codec.js';

interface Connection {
  database: Database;
  commits: GroupCommit;
}

export interface MediumOptions {
  /** Makes the database. It is opened in the turn in which it is made. */
  makeDatabase: () => Database;
  /** Whether a write is on disk (fsync) when its promise resolves, or with the operating system. */
  sync: boolean;
  observer?: CommitObserver | undefined;
}

/** What `LevelStore` writes to and reads from: a database that is open or not, and commits that writers share. */
export class Medium {
  readonly #options: MediumOptions;
  readonly #lock = new KeyedLock();
  #connection: Connection | undefined;

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
      const database = this.#options.makeDatabase();
      await openDatabase(database);
      this.#connection = {
        database,
        commits: new GroupCommit(observed(batchWriter(database), this.#options.observer)),
      };
      try {
        await prepare();
      } catch (error) {
        await this.#disconnect();
        throw error;
      }
    });
  }

  /** Waits for the writes under way. */
  async close(): Promise<void> {
    await this.#lock.run('connection', () => this.#disconnect());
  }

  async commit(writes: Iterable<Write>, urgency: Urgency = 'sync'): Promise<void> {
    const { commits } = this.#connected();
    await commits.commit(writes, urgency === 'sync' && !this.#options.sync ? 'os' : urgency);
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
    const { database, commits } = this.#connection;
    this.#connection = undefined;
    await commits.idle();
    await database.close();
  }

  #connected(): Connection {
    if (this.#connection === undefined) throw new PanalError('STORE_UNAVAILABLE', 'the store is not open');
    return this.#connection;
  }
}
