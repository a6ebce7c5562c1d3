import { KeyedLock } from '@panal/support';
import { LevelEvents } from './call-events.js';
import { LevelKeys } from './call-keys.js';
import { countUncounted } from './call-usage.js';
import type { CommitObserver } from './commit-observer.js';
import type { DiskStore } from './disk-store.js';
import { levelDatabase, type Database } from './database.js';
import type { DiskReserve } from './disk-reserve.js';
import { addMissingIndexes } from './late-index.js';
import { LevelCalls } from './level-calls.js';
import { LevelFunctions } from './level-functions.js';
import { LevelUsers } from './level-users.js';
import type { Durability } from './log/log.js';
import { Medium } from './medium.js';
import { copyOf, writesOfPage, type Page, type StoreCopy } from './store-copy.js';

export interface LevelStoreOptions {
  durability: Durability;
  /** Names the run of the broker that opens the store. */
  run?: string;
  /** Makes the database of a folder: LevelDB by default. */
  database?: (location: string) => Database;
  /** Is told of every commit. */
  observer?: CommitObserver;
  /** Space to write with on a full disk. */
  reserve?: DiskReserve;
}

/**
 * A store in one LevelDB folder, which one process at a time can open. `keys.ts` has the layout.
 * A record that cannot be understood is `PanalError` `INTERNAL`; its cause names the key.
 */
export class LevelStore implements DiskStore {
  readonly users: LevelUsers;
  readonly functions: LevelFunctions;
  readonly calls: LevelCalls;
  readonly keys: LevelKeys;
  readonly events: LevelEvents;
  readonly #medium: Medium;

  /** @param location is made where it is missing, with the folders above it. */
  constructor(location: string, { run = '', database = levelDatabase, ...options }: LevelStoreOptions) {
    const medium = new Medium({ location, makeDatabase: database, ...options });
    const lock = new KeyedLock();
    this.#medium = medium;
    this.functions = new LevelFunctions(medium, lock);
    this.users = new LevelUsers(medium, lock, this.functions);
    this.calls = new LevelCalls(medium, lock, run);
    this.keys = new LevelKeys(medium);
    this.events = new LevelEvents(medium);
  }

  async open(): Promise<void> {
    await this.#medium.open(async () => {
      await this.calls.open();
      await addMissingIndexes(this.#medium);
      await countUncounted(this.#medium);
      await this.users.open();
    });
  }

  async close(): Promise<void> {
    this.calls.flush();
    await this.#medium.close();
  }

  get failing(): boolean {
    return this.#medium.failing;
  }

  async heal(probe = false): Promise<void> {
    if (probe || this.failing) await this.#medium.probe();
  }

  async copy(): Promise<StoreCopy> {
    return await copyOf(this.#medium);
  }

  async putPage(page: Page): Promise<void> {
    await this.#medium.commit(writesOfPage(page));
  }

  async isEmpty(): Promise<boolean> {
    return (await this.#medium.keys({ gt: '', lt: '\u{10ffff}' }, 1)).length === 0;
  }
}

/** Makes the store of a folder, with the engine that Panal uses. It is to be opened. */
export function makeStore(location: string, options: LevelStoreOptions): DiskStore {
  return new LevelStore(location, options);
}
