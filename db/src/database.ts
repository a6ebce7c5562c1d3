import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PanalError } from '@panal/protocol';
import { Level } from 'level';
import { diskSpace, type DiskReserve } from './disk-reserve.js';
import type { Range } from './keys.js';

/** A LevelDB folder. */
export type Database = Level<string, Uint8Array>;

/** Writes all of `writes` or none, and with `sync` not before they are on disk. */
export type WriteBatch = (
  writes: ReadonlyMap<string, Uint8Array | undefined>,
  sync: boolean,
) => Promise<void>;

/** A view of a database at one moment. */
export type Snapshot = ReturnType<Database['snapshot']>;

/** A LevelDB folder that is not yet opened. It must be opened in the turn in which it is made. */
export function levelDatabase(location: string): Database {
  return new Level<string, Uint8Array>(location, { keyEncoding: 'utf8', valueEncoding: 'view' });
}

/**
 * @param options.createIfMissing whether LevelDB may make its files
 * @throws PanalError `STORE_UNAVAILABLE` that names the folder, and says why it cannot be opened.
 */
export async function openDatabase(database: Database, { createIfMissing = true } = {}): Promise<void> {
  try {
    await database.open({ createIfMissing });
  } catch (cause) {
    const reason = explain(cause instanceof Error ? cause.cause : cause);
    throw new PanalError(
      'STORE_UNAVAILABLE',
      `the store in ${database.location} cannot be opened: ${reason}`,
      {
        cause,
      },
    );
  }
}

const MiB = 1024 * 1024;

/** 0 for one that is gone: LevelDB removes a log once its table is written. */
const sizeOfFile = async (path: string): Promise<number> =>
  (await stat(path).catch(() => ({ size: 0 }))).size;

/**
 * Whether the database can be opened anew: that writes what its log has into a table, and begins another log. On a full
 * disk it would fail, and leave it closed to readers too.
 */
async function canBeOpened({ location }: Database): Promise<boolean> {
  const logs = (await readdir(location)).filter((name) => name.endsWith('.log'));
  const sizes = await Promise.all(logs.map((name) => sizeOfFile(join(location, name))));
  const { bytes } = await diskSpace(location);
  return bytes >= MiB + 1.25 * sizes.reduce((sum, size) => sum + size, 0);
}

export interface BatchWriterOptions {
  /** Is told whether the database failed to write, and was not opened anew since. */
  onTorn?: (torn: boolean) => void;
  /** Space to write with on a full disk. */
  reserve?: DiskReserve | undefined;
}

/**
 * Writes to an open database. After a failure it opens the database anew before it writes again: LevelDB goes on
 * behind the torn record which a full disk leaves in its log, acknowledges what follows, and drops it all when it
 * next reads that log. It is not opened anew before its disk has room for that:
 * until then writes fail, and reads go on.
 *
 * A batch that fails on a full disk is written again with space of the reserve. The first time may have succeeded: a batch
 * holds values, not changes, so that this makes no difference.
 */
export function batchWriter(
  database: Database,
  { onTorn = () => undefined, reserve }: BatchWriterOptions = {},
): WriteBatch {
  let torn = false;
  const write: WriteBatch = async (writes, sync) => {
    if (torn) {
      onTorn(true);
      if (!(await canBeOpened(database))) throw new Error('the disk has no room to open the store anew');
      await database.close();
      await database.open({ createIfMissing: false });
    }
    const wasTorn = torn;
    torn = true;
    // A chained batch: an array batch copies every operation, and keeps the event loop twice as long.
    const batch = database.batch();
    for (const [key, value] of writes) {
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
    }
    try {
      await batch.write({ sync });
    } catch (error) {
      onTorn(true);
      throw error;
    }
    torn = false;
    if (wasTorn) onTorn(false);
  };
  return async (writes, sync) => {
    if (reserve !== undefined && reserve.missing > 0 && !(await reserve.allows(sizeOf(writes)))) {
      throw new Error('the disk has too little room for a batch of this size');
    }
    for (;;) {
      try {
        await write(writes, sync);
        return;
      } catch (error) {
        if (!(await reserve?.release())) throw error;
      }
    }
  };
}

function sizeOf(writes: Parameters<WriteBatch>[0]): number {
  let bytes = 0;
  for (const value of writes.values()) bytes += value?.byteLength ?? 0;
  return bytes;
}

interface Compactable {
  compactRange(start: string, end: string): Promise<void>;
}

const isCompactable = (database: Database): database is Database & Compactable =>
  database.supports.additionalMethods.compactRange === true;

/** Makes LevelDB give back the space of what was removed between two keys. */
export async function compact(database: Database, { gte, lt }: Range): Promise<void> {
  if (isCompactable(database)) await database.compactRange(gte, lt);
}

const READ_FAILURES: Readonly<Record<string, string>> = {
  LEVEL_CORRUPTION: 'it is damaged',
  LEVEL_IO_ERROR: 'it is damaged, or its disk fails',
};

/** What a client hears where LevelDB failed; any other error as it is. */
export function readFailure(error: unknown): unknown {
  const code = codeOf(error);
  if (!code.startsWith('LEVEL_')) return error;
  const why = READ_FAILURES[code] ?? 'it is not open';
  return new PanalError('STORE_UNAVAILABLE', `the store cannot be read: ${why}`, { cause: error });
}

function explain(error: unknown): string {
  const code = codeOf(error);
  if (code === 'LEVEL_LOCKED') return 'another process has it open';
  const message = error instanceof Error ? error.message : String(error);
  return code === 'LEVEL_CORRUPTION' ? `it is damaged (${message})` : message;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
