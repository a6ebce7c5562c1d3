import { levelDatabase, type Database } from '../../db/src/database.js';

/** What was read of a database. */
export interface Reads {
  bytes: number;
}

/** Makes LevelDB databases that count in `reads` what is read of them. */
export function countedDatabase(reads: Reads): (location: string) => Database {
  const count = (read: unknown): void => {
    if (typeof read === 'string') reads.bytes += read.length;
    else if (read instanceof Uint8Array) reads.bytes += read.byteLength;
    else if (Array.isArray(read)) read.forEach(count);
  };
  /** Lets `method` of `target` count what it resolves with. */
  const counted = <K extends string>(
    target: Record<K, (...args: never[]) => Promise<unknown>>,
    method: K,
  ) => {
    const plain = target[method].bind(target);
    target[method] = async (...args) => {
      const read = await plain(...args);
      count(read);
      return read;
    };
  };
  return (location) => {
    const database = levelDatabase(location);
    counted(database, 'get');
    counted(database, 'getMany');
    for (const make of ['keys', 'values', 'iterator'] as const) {
      const plain = database[make].bind(database) as (...args: unknown[]) => object;
      Object.assign(database, {
        [make]: (...args: unknown[]) => {
          const iterator = plain(...args) as Record<'next' | 'all', (...args: never[]) => Promise<unknown>>;
          counted(iterator, 'next');
          counted(iterator, 'all');
          return iterator;
        },
      });
    }
    return database;
  };
}
