import type { AddingBatch } from '../sums.js';
import { GroupCommit } from './group-commit.js';
import type { Applied, Durability, Log, Transaction, View, WriteKind } from './log.js';
import { LogSync } from './log-sync.js';

const SYNCED: Readonly<Record<Durability, readonly WriteKind[]>> = {
  fsync: ['accepted', 'always'],
  strict: ['accepted', 'ended', 'always'],
  os: ['always'],
};

export interface LocalLogOptions {
  /** The folder of the database, which has its own log there. */
  folder: string;
  durability: Durability;
  write: AddingBatch;
  view: View;
  /** Hears of a sync that failed. */
  onFailure: () => void;
}

/** The log of a broker that shares its store with none: LevelDB's own, written by group commit. */
export class LocalLog implements Log {
  readonly #synced: readonly WriteKind[];
  readonly #commits: GroupCommit;
  /** Syncs the writes that are not synced at once; not with `os`. */
  readonly #sync: LogSync | undefined;

  constructor({ folder, durability, write, view, onFailure }: LocalLogOptions) {
    this.#synced = SYNCED[durability];
    this.#commits = new GroupCommit(write, view);
    this.#sync = durability === 'os' ? undefined : new LogSync(folder, onFailure);
  }

  async append(transaction: Transaction, kind: WriteKind): Promise<Applied> {
    const synced = this.#synced.includes(kind);
    const applied = await this.#commits.commit(transaction, synced ? 'sync' : 'os');
    const { ended } = transaction;
    if (!synced) this.#sync?.wrote(ended === undefined ? [] : [ended]);
    return applied;
  }

  async ended(callNums: readonly number[]): Promise<void> {
    const sync = this.#sync;
    if (sync !== undefined && callNums.some((callNum) => sync.has(callNum))) await sync.flush();
  }

  async close(): Promise<void> {
    await this.#commits.idle();
    await this.#sync?.close();
  }
}
