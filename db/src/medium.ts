import { PanalError } from '@panal/protocol';
import { KeyedLock } from '@panal/support';
import type { z } from 'zod';
import { observed, type CommitObserver } from './commit-observer.js';
import { batchWriter, compact, openDatabase, readFailure, type Database } from './database.js';
import type { DiskReserve } from './disk-reserve.js';
import { keyOf, type Range } from './keys.js';
import { LocalLog } from './log/local-log.js';
import type { Applied, Durability, Log, Transaction, View, Write, WriteKind } from './log/log.js';
import { decodeValue, jsonDecoder } from './record-codec.js';
import { rangesOfRemoved, RemovedRanges } from './removed-ranges.js';
import { markStore, prepareStoreFolder } from './store-marker.js';
import { adding, sumSchema } from './sums.js';

/** A key that is never stored, because no owner has an empty name. */
const NO_CALLS = keyOf('call', '');

interface Connection {
  database: Database;
  log: Log;
}

export interface MediumOptions {
  /** A folder, which is made if it is missing, with the folders above it. */
  location: string;
  /** Makes the database. It is opened in the turn in which it is made. */
  makeDatabase: (location: string) => Database;
  durability: Durability;
  observer?: CommitObserver | undefined;
  /** Space to write with on a full disk. */
  reserve?: DiskReserve | undefined;
}

/** What `LevelStore` writes to and reads from: a database that is open or not, and commits that writers share. */
export class Medium {
  readonly #options: MediumOptions;
  /** Calls that were removed, and whose space LevelDB has not given back. */
  readonly removed = new RemovedRanges();
  readonly #lock = new KeyedLock();
  #connection: Connection | undefined;
  #torn = false;
  /** How often a write failed. */
  #failures = 0;

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
      const { observer, durability, reserve } = this.#options;
      const write = batchWriter(database, { onTorn: (torn) => this.#noteTorn(torn), reserve });
      // Straight from the database: what was appended is still applied when the store closes.
      const view = viewOf(database);
      const log = new LocalLog({
        folder: database.location,
        durability,
        write: adding(observed(write, observer), async (key) => {
          const value = await view.get(key);
          return value && decodeValue(key, value, jsonDecoder(sumSchema));
        }),
        view,
        onFailure: () => observer?.failed(),
      });
      this.#connection = { database, log };
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

  /** As `Log.append`. */
  async append(transaction: Transaction, kind: WriteKind = 'accepted'): Promise<Applied> {
    return await this.#connected().log.append(transaction, kind);
  }

  /** Appends writes without a condition. @param ended the call whose end is written */
  async commit(writes: Iterable<Write>, kind?: WriteKind, ended?: number): Promise<void> {
    await this.append({ writes, ended }, kind);
  }

  /** As `Log.ended`. */
  async ended(callNums: readonly number[]): Promise<void> {
    await this.#connected().log.ended(callNums);
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

  /** Writes next to nothing: LevelDB tells only a writer that it could not merge its files, and not one of an empty batch. */
  async probe(): Promise<void> {
    await this.commit([[NO_CALLS, undefined]], 'later');
  }

  /**
   * Gives back the space of removed calls, of each owner with at least so many bytes of them. What a full disk prevents is
   * left for the next time.
   */
  async reclaim(bytes: number): Promise<void> {
    for (let removed; (removed = this.removed.take(bytes)) !== undefined;) {
      const failures = this.#failures;
      try {
        for (const range of rangesOfRemoved(removed)) {
          await this.read((database) => compact(database, range));
        }
        await this.probe();
      } catch (error) {
        this.removed.add(removed);
        throw error;
      }
      if (this.#failures === failures) continue;
      this.removed.add(removed);
      return;
    }
  }

  #noteTorn(torn: boolean): void {
    this.#torn = torn;
    if (torn) this.#failures++;
  }

  async #disconnect(): Promise<void> {
    if (this.#connection === undefined) return;
    const { database, log } = this.#connection;
    this.#connection = undefined;
    try {
      await log.close();
    } finally {
      await database.close();
    }
  }

  #connected(): Connection {
    if (this.#connection === undefined) throw new PanalError('STORE_UNAVAILABLE', 'the store is not open');
    return this.#connection;
  }
}

const viewOf = (database: Database): View => ({
  keys: (range, limit) => readable(database.keys({ ...range, limit }).all()),
  get: (key) => readable<Uint8Array | undefined>(database.get(key)),
});

async function readable<T>(reading: Promise<T>): Promise<T> {
  return await reading.catch((error: unknown) => {
    throw readFailure(error);
  });
}
