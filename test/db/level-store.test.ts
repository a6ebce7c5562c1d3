import { execFileSync } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelStore, type CallQuery, type Durability } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { expect } from 'chai';
import { levelDatabase, openDatabase, type Database } from '../../db/src/database.js';
import { keyOf } from '../../db/src/keys.js';
import { temporaryFolder } from '../support/folder.js';
import { aCall, aRuntime, aUser, aVersion, settled } from './samples.js';
import { codeOf, describeStore } from './store-conformance.js';

describe('LevelStore', () => {
  const folder = temporaryFolder();
  const location = (): string => join(folder(), 'not there yet', 'store');
  const openStore = async (database?: (location: string) => Database): Promise<LevelStore> => {
    const store = new LevelStore(location(), { durability: 'os', ...(database && { database }) });
    await store.open();
    return store;
  };

  describeStore('with fsync', () => new LevelStore(location(), { durability: 'fsync' }));
  describeStore('strict', () => new LevelStore(location(), { durability: 'strict' }));
  describeStore('without fsync', () => new LevelStore(location(), { durability: 'os' }));

  it('syncs as its options and its callers say', async () => {
    for (const [durability, expected] of Object.entries({
      fsync: [true, false, false, false, true, true],
      strict: [true, false, true, true, true, true],
      os: [false, false, false, false, false, true],
    }) as [Durability, boolean[]][]) {
      const synced: unknown[] = [];
      const store = new LevelStore(join(folder(), durability), {
        durability,
        database: (path) => watchSync(levelDatabase(path), (each) => synced.push(each)),
      });
      await store.open();
      await store.calls.acceptCall(aCall(1));
      await store.calls.acceptCall(aCall(2), { lazy: true });
      await store.calls.settleCall(settled(aCall(2)));
      await store.calls.settleCall(settled(aCall(1)));
      await store.functions.putRuntime(aRuntime('python'));
      await store.calls.takeCallNums(7);
      await store.close();
      expect(synced, durability).to.deep.equal(expected);
    }
  });

  it('knows which run of a broker has a call that is not settled', async () => {
    const openedBy = async (run?: string): Promise<LevelStore> => {
      const store = new LevelStore(location(), { durability: 'os', ...(run !== undefined && { run }) });
      await store.open();
      return store;
    };
    // As a store of an earlier version of Panal has them.
    const unnamed = await openedBy();
    await unnamed.calls.acceptCall(aCall(1));
    await unnamed.close();
    const first = await openedBy('first');
    for (const callNum of [2, 3, 4]) await first.calls.acceptCall(aCall(callNum));
    await first.close();
    const second = await openedBy('second');
    await second.calls.updateCall(aCall(3, { attempts: 1 }));
    await second.calls.settleCall(settled(aCall(4)));
    await second.calls.acceptCall(aCall(5));
    const numbersOf = async (ofRun: (run: string) => boolean): Promise<number[]> => {
      const numbers: number[] = [];
      for await (const { callNum } of second.calls.unsettledCalls(ofRun)) numbers.push(callNum);
      return numbers;
    };
    expect(await numbersOf((run) => run === '')).to.deep.equal([1]);
    expect(await numbersOf((run) => run === 'first')).to.deep.equal([2]);
    expect(await numbersOf((run) => run === 'second')).to.deep.equal([3, 5]);
    expect(await numbersOf((run) => run !== 'second')).to.deep.equal([1, 2]);
    await second.close();
  });

  it('says which folder another process has open', async () => {
    const store = await openStore();
    const second = new LevelStore(location(), { durability: 'os' });
    const error: unknown = await second.open().catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(PanalError).with.property('code', 'STORE_UNAVAILABLE');
    expect(String(error)).to.include(location()).and.to.include('another process has it open');
    await store.close();
    await second.open();
    await second.close();
  });

  it('says which folder is damaged', async () => {
    await mkdir(location(), { recursive: true });
    await writeFile(join(location(), 'CURRENT'), 'nonsense\n');
    const store = new LevelStore(location(), { durability: 'os' });
    const error: unknown = await store.open().catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(PanalError).with.property('code', 'STORE_UNAVAILABLE');
    expect(String(error)).to.include(location());
    expect(await codeOf(store.calls.lastCallNum())).to.equal('STORE_UNAVAILABLE');
  });

  it('ends a deletion that a crash cut short, when it is opened next', async () => {
    const store = await openStore();
    await store.calls.acceptCall(aCall(1));
    await store.functions.putRuntime(aRuntime('python'));
    await store.close();
    const database = levelDatabase(location());
    await openDatabase(database);
    await database.put(keyOf('leaving-user', 'ada'), Buffer.alloc(0));
    await database.close();
    await store.open();
    expect(await store.calls.getCall('ada', 1)).to.equal(undefined);
    expect(await store.functions.listRuntimes({ owner: 'ada', limit: 9 })).to.deep.equal([]);
    await store.functions.putRuntime(aRuntime('python'));
    await store.close();
    await store.open();
    expect(await store.functions.listRuntimes({ owner: 'ada', limit: 9 })).to.deep.equal(['python']);
    await store.close();
  });

  it('removes what a deletion that failed has left, before the name is taken anew', async () => {
    let broken = false;
    const store = await openStore((path) => {
      const database = levelDatabase(path);
      const keys = database.keys.bind(database);
      database.keys = ((...args: Parameters<typeof keys>) => {
        if (broken) throw Object.assign(new Error('unreadable'), { code: 'LEVEL_IO_ERROR' });
        return keys(...args);
      }) as typeof database.keys;
      return database;
    });
    await store.users.addUser(aUser('ada'));
    await store.calls.acceptCall(aCall(1));
    broken = true;
    expect(await codeOf(store.users.deleteUser('ada'))).to.equal('STORE_UNAVAILABLE');
    broken = false;
    expect(await store.users.getUser('ada')).to.equal(undefined);
    expect(await store.users.addUser(aUser('ada', { id: 'second' }))).to.equal(true);
    expect(await store.calls.listCalls({ owner: 'ada', limit: 9 })).to.deep.equal([]);
    await store.close();
  });

  it('adds the index entries that a store of an earlier version does not have', async () => {
    const database = levelDatabase(location());
    await mkdir(location(), { recursive: true });
    await openDatabase(database);
    for (let number = 1; number <= 250; number++) {
      const runtime = aRuntime(`runtime-${number}`, { image: `image-${number}` });
      await database.put(keyOf('runtime', 'ada', runtime.name), Buffer.from(JSON.stringify(runtime)));
      const version = JSON.stringify(aVersion('dice', number));
      await database.put(keyOf('version', 'ada', 'dice', number), Buffer.from(version));
    }
    await database.put(keyOf('version', 'ada', 'dice', 3), Buffer.from('damaged'));
    await database.close();
    const store = await openStore();
    expect(await store.functions.hasRuntimeImage('ada', 'image-250')).to.equal(true);
    expect(await store.functions.hasRuntimeImage('eve', 'image-250')).to.equal(false);
    const summaries = await store.functions.listSummaries({ owner: 'ada', name: 'dice' });
    expect(summaries.map(({ version }) => version))
      .to.have.length(249)
      .and.include.members([1, 250]);
    expect((await store.functions.usageOf('ada')).versions).to.equal(249);
    await store.functions.deleteRuntime('ada', 'runtime-250');
    expect(await store.functions.hasRuntimeImage('ada', 'image-250')).to.equal(false);
    await store.close();
  });

  it('names the key of a damaged record in the cause, not in the message', async () => {
    const database = levelDatabase(location());
    await openDatabase(database);
    for (const key of [keyOf('runtime', 'ada', 'python'), keyOf('call', 'ada', 1)]) {
      await database.put(key, Buffer.from('{"nonsense":'));
    }
    await database.close();
    const store = await openStore();
    const error: unknown = await store.functions
      .getRuntime('ada', 'python')
      .catch((reason: unknown) => reason);
    if (!(error instanceof PanalError)) expect.fail('no PanalError');
    expect(error.code).to.equal('INTERNAL');
    expect(error.message).not.to.include('python');
    expect(String(error.cause)).to.include('python');
    expect(await codeOf(store.calls.getCall('ada', 1))).to.equal('INTERNAL');
    expect(await codeOf(store.calls.listCalls({ owner: 'ada', limit: 1 }))).to.equal('INTERNAL');
    await store.close();
  });

  it('does not open with a damaged call number, rather than give numbers out again', async () => {
    const database = levelDatabase(location());
    await openDatabase(database);
    await database.put(keyOf('last-call'), Buffer.from('many'));
    await database.close();
    const store = new LevelStore(location(), { durability: 'os' });
    expect(await codeOf(store.open())).to.equal('INTERNAL');
    await openDatabase(database);
    await database.close();
  });

  it('visits no more entries than a query returns', async () => {
    let visited = 0;
    const store = await openStore((path) => watchKeys(levelDatabase(path), (count) => (visited += count)));
    const statuses = ['PENDING', 'DONE', 'FAILED'] as const;
    const calls = Array.from({ length: 3000 }, (_, index) =>
      aCall(index + 1, { funcName: index % 2 ? 'dice' : 'coin', owner: index % 5 ? 'ada' : 'eve' }),
    );
    await Promise.all(
      calls.map((call, index) => {
        const status = statuses[index % 3] ?? 'DONE';
        return status === 'PENDING'
          ? store.calls.acceptCall(call)
          : store.calls.settleCall(settled(call, { status }));
      }),
    );
    const visits = async (query: Partial<CallQuery>): Promise<number> => {
      visited = 0;
      expect(await store.calls.listCalls({ owner: 'ada', limit: 10, before: 2000, ...query })).to.have.length(
        10,
      );
      return visited;
    };
    expect(await visits({})).to.equal(10);
    for (const status of statuses) {
      expect(await visits({ status })).to.equal(10);
      expect(await visits({ status, funcName: 'dice' })).to.equal(10);
    }
    // One page from each status that the function's calls are in.
    expect(await visits({ funcName: 'dice' })).to.equal(10 * statuses.length);
    visited = 0;
    expect(await store.calls.listCalls({ owner: 'ada', limit: 10, status: 'RUNNING' })).to.have.length(0);
    expect(visited).to.equal(0);
    await store.close();
  });

  it('loses nothing that it acknowledged after a full disk', async function () {
    if (!hasPrlimit()) this.skip();
    const store = await openStore();
    const stored: number[] = [];
    const accept = async (from: number, to: number): Promise<number> => {
      let failed = 0;
      for (let callNum = from; callNum < to; callNum++) {
        const code = await codeOf(store.calls.acceptCall(aCall(callNum, { params: new Uint8Array(1000) })));
        if (code === undefined) stored.push(callNum);
        else expect(code).to.equal('STORE_UNAVAILABLE');
        failed += code === undefined ? 0 : 1;
      }
      return failed;
    };
    await accept(1, 20);
    await withFileLimit((await logBytes(location())) + 5000, async () => {
      expect(await accept(20, 40)).to.be.greaterThan(0);
    });
    expect(await accept(40, 60)).to.equal(0);
    await store.close();
    await store.open();
    const listed = await store.calls.listCalls({ owner: 'ada', limit: 99 });
    expect(listed.map(({ callNum }) => callNum).reverse()).to.deep.equal(stored);
    await store.close();
  });
});

/** Hands `seen` the `sync` of each batch. */
function watchSync(database: Database, seen: (sync: unknown) => void): Database {
  const batch = database.batch.bind(database);
  return Object.assign(database, {
    batch: () => {
      const made = batch();
      const write = made.write.bind(made);
      return Object.assign(made, {
        write: async (options: { sync: boolean }) => {
          seen(options.sync);
          await write(options);
        },
      });
    },
  });
}

/** Hands `seen` the number of keys that each scan went through. */
function watchKeys(database: Database, seen: (count: number) => void): Database {
  const keys = database.keys.bind(database);
  return Object.assign(database, {
    keys: (options: Parameters<typeof keys>[0]) => {
      const iterator = keys(options);
      const all = iterator.all.bind(iterator);
      return Object.assign(iterator, {
        all: async () => {
          const found = await all();
          seen(found.length);
          return found;
        },
      });
    },
  });
}

function hasPrlimit(): boolean {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** While `task` runs, no file of this process can grow past `bytes`: a full disk as far as LevelDB can tell. */
async function withFileLimit(bytes: number, task: () => Promise<void>): Promise<void> {
  const limit = (soft: string): void => {
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`]);
  };
  const ignore = (): void => undefined;
  process.on('SIGXFSZ', ignore);
  limit(String(bytes));
  try {
    await task();
  } finally {
    limit('unlimited');
    process.off('SIGXFSZ', ignore);
  }
}

async function logBytes(folder: string): Promise<number> {
  const logs = (await readdir(folder)).filter((name) => name.endsWith('.log'));
  const sizes = await Promise.all(logs.map(async (name) => (await stat(join(folder, name))).size));
  return Math.max(...sizes);
}
