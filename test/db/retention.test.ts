import { join } from 'node:path';
import { LevelStore, type CallRetention } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { expect } from 'chai';
import { levelDatabase, openDatabase, type Database } from '../../db/src/database.js';
import { keyOf } from '../../db/src/keys.js';
import { temporaryFolder } from '../support/folder.js';
import { aCall, settled } from './samples.js';

describe('Calls of LevelDB that are not to be kept', () => {
  const folder = temporaryFolder();
  let store: LevelStore;
  /** What each batch passes before it is written. */
  let beforeWrite: () => void;
  /** Entries that were read, of any kind. */
  let read: number;

  beforeEach(async () => {
    beforeWrite = () => undefined;
    read = 0;
    store = new LevelStore(join(folder(), 'store'), {
      durability: 'os',
      database: (location) => {
        const database = levelDatabase(location);
        return watched(
          database,
          () => beforeWrite(),
          () => read++,
        );
      },
    });
    await store.open();
  });
  afterEach(() => store.close());

  async function settle(from: number, to: number, owner = 'ada'): Promise<void> {
    const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index);
    await Promise.all(numbers.map((callNum) => store.calls.settleCall(settled(aCall(callNum, { owner })))));
  }

  async function remove(retention: CallRetention): Promise<number> {
    let total = 0;
    for await (const removed of store.calls.removeCalls(retention)) total += removed;
    return total;
  }

  it('go whole or not at all, and the rest next time, wherever it is cut short', async () => {
    await settle(1, 900);
    await settle(901, 1000, 'zoe');
    let cuts = 0;
    for (let limit = 0; ; limit++) {
      let writes = 0;
      beforeWrite = () => {
        if (writes++ === limit) throw new Error('the power is off');
      };
      const end = await remove({ newest: 50 }).catch((error: unknown) => error);
      beforeWrite = () => undefined;
      await store.close();
      await store.open();
      for (const owner of ['ada', 'zoe']) {
        const [all, done, ofDice] = await Promise.all(
          [{}, { status: 'DONE' as const }, { funcName: 'dice' }].map((query) =>
            store.calls.listCalls({ owner, limit: 2000, ...query }),
          ),
        );
        expect(done).to.deep.equal(all);
        expect(ofDice).to.deep.equal(all);
        expect(all?.length).to.be.at.least(50);
        expect((await store.calls.callUsage(owner)).calls).to.equal(all?.length);
      }
      if (!(end instanceof PanalError)) break;
      cuts++;
    }
    expect(cuts).to.be.at.least(3);
    for (const [owner, newest] of [
      ['ada', 900],
      ['zoe', 1000],
    ] as const) {
      const left = await store.calls.listCalls({ owner, limit: 2000 });
      expect(left.map(({ callNum }) => callNum)).to.deep.equal(
        Array.from({ length: 50 }, (_, n) => newest - n),
      );
    }
  });

  it('cost what came since and what goes, not what is stored', async () => {
    await settle(1, 3000);
    for (const [index, owner] of ['bob', 'eve', 'zoe'].entries())
      await settle(3001 + index, 3001 + index, owner);
    await remove({ newest: 2900, settledSince: 0 });
    read = 0;
    expect(await remove({ newest: 2900, settledSince: 0 })).to.equal(0);
    // Of each owner: that there is one, that nothing came, and the oldest call.
    expect(read).to.be.at.most(4 * 3);
    await settle(3004, 3013);
    read = 0;
    expect(await remove({ newest: 2900, settledSince: 0 })).to.equal(10);
    expect(read).to.be.at.most(60);
  });

  it('are counted once where a store of an earlier version has no sums', async () => {
    await settle(1, 20);
    await settle(21, 25, 'zoe');
    await store.calls.acceptCall(aCall(26));
    const sums = (): Promise<unknown> =>
      Promise.all([store.calls.callUsage('ada'), store.calls.callUsage('zoe'), store.calls.callUsage()]);
    const before = await sums();
    await store.close();
    const database = levelDatabase(join(folder(), 'store'));
    await openDatabase(database);
    const range = { gte: keyOf('call-usage'), lt: keyOf('call-usage') + '\u0001' };
    expect(await database.keys(range).all()).to.have.length(3);
    await database.clear(range);
    await database.close();
    await store.open();
    expect(await sums()).to.deep.equal(before);
  });

  it('do not stop at one that cannot be read', async () => {
    await settle(1, 9);
    await store.close();
    const database = levelDatabase(join(folder(), 'store'));
    await openDatabase(database);
    await database.put(keyOf('call', 'ada', 2), Buffer.from('nonsense'));
    await database.close();
    await store.open();
    expect(await remove({ settledSince: 1e12 })).to.equal(8);
    expect(await remove({ settledSince: 1e12 })).to.equal(0);
  });
});

/** Tells of each batch before it is written, and of each entry and key that is read by a scan. */
function watched(database: Database, onWrite: () => void, onRead: () => void): Database {
  const batch = database.batch.bind(database);
  const keys = database.keys.bind(database);
  const iterator = database.iterator.bind(database);
  return Object.assign(database, {
    batch: () => {
      const made = batch();
      const write = made.write.bind(made);
      return Object.assign(made, {
        write: async (options: { sync: boolean }) => {
          onWrite();
          await write(options);
        },
      });
    },
    keys: (options: Parameters<typeof keys>[0]) => {
      const made = keys(options);
      const all = made.all.bind(made);
      return Object.assign(made, {
        all: async () => {
          const found = await all();
          found.forEach(onRead);
          return found;
        },
      });
    },
    iterator: (options: Parameters<typeof iterator>[0]) => {
      const made = iterator(options);
      const next = made.next.bind(made);
      return Object.assign(made, {
        next: async () => {
          onRead();
          return await next();
        },
      });
    },
  });
}
