import { join } from 'node:path';
import { PanalError } from '@panal/protocol';
import { expect } from 'chai';
import {
  batchWriter,
  levelDatabase,
  openDatabase,
  type Database,
  type WriteBatch,
} from '../../db/src/database.js';
import { GroupCommit } from '../../db/src/log/group-commit.js';
import type { Transaction, View, Write } from '../../db/src/log/log.js';
import { temporaryFolder } from '../support/folder.js';
import { eventually } from '../../testkit/wait.js';

interface Batch {
  keys: string[];
  sync: boolean;
  /** Lets it be written, or fail. */
  release: (failure?: Error) => void;
}

const put = (key: string, bytes = 1): Transaction => write([key, Buffer.alloc(bytes, key)]);
const write = (...writes: Write[]): Transaction => ({ writes });

describe('group commit', () => {
  const folder = temporaryFolder();
  let database: Database;
  let batches: Batch[];
  let commits: GroupCommit;

  beforeEach(async () => {
    database = levelDatabase(join(folder(), 'store'));
    await openDatabase(database);
    batches = [];
    const write = batchWriter(database);
    const gated: WriteBatch = async (writes, sync) => {
      await new Promise<void>((resolve, reject) => {
        const release = (failure?: Error): void => (failure ? reject(failure) : resolve());
        batches.push({ keys: [...writes.keys()], sync, release });
      });
      await write(writes, sync);
    };
    const view: View = {
      keys: (range, limit) => database.keys({ ...range, limit }).all(),
      get: (key) => database.get(key),
    };
    commits = new GroupCommit(gated, view);
  });
  afterEach(() => database.close());

  const batch = async (index: number): Promise<Batch> =>
    await eventually(`batch ${index}`, () => batches[index]);

  it('writes in one batch what arrives together', async () => {
    const writers = ['a', 'b', 'c'].map((key) => commits.commit(put(key), 'sync'));
    (await batch(0)).release();
    await Promise.all(writers);
    expect(batches.map(({ keys }) => keys)).to.deep.equal([['a', 'b', 'c']]);
    expect(await database.keys().all()).to.deep.equal(['a', 'b', 'c']);
  });

  it('collects the next batch while one is being written', async () => {
    const first = commits.commit(put('a'), 'sync');
    const { release } = await batch(0);
    const others = [commits.commit(put('b'), 'sync'), commits.commit(put('c'), 'sync')];
    expect(batches).to.have.length(1);
    release();
    await first;
    (await batch(1)).release();
    await Promise.all(others);
    expect(batches.map(({ keys }) => keys)).to.deep.equal([['a'], ['b', 'c']]);
  });

  it('syncs a batch when one of its writers asks for it, and only then', async () => {
    const first = [commits.commit(put('a'), 'os'), commits.commit(put('b'), 'os')];
    (await batch(0)).release();
    await Promise.all(first);
    const second = [
      commits.commit(put('c'), 'os'),
      commits.commit(put('d'), 'sync'),
      commits.commit(put('e'), 'os'),
    ];
    (await batch(1)).release();
    await Promise.all(second);
    expect(batches.map(({ sync }) => sync)).to.deep.equal([false, true]);
  });

  it('bounds a batch in writes and in bytes', async () => {
    const many = Array.from({ length: 1500 }, (_, index) => commits.commit(put(`many ${index}`), 'sync'));
    const large = [1, 2, 3].map((index) => commits.commit(put(`large ${index}`, 700_000), 'sync'));
    for (let index = 0; index < 3; index++) (await batch(index)).release();
    await Promise.all([...many, ...large]);
    expect(batches.map(({ keys }) => keys.length)).to.deep.equal([1024, 478, 1]);
  });

  it('ends with the last write of a key', async () => {
    const writers = [
      commits.commit(put('a'), 'sync'),
      commits.commit(write(['b', Buffer.from('old')]), 'sync'),
      commits.commit(write(['a', undefined]), 'sync'),
      commits.commit(write(['b', Buffer.from('new')]), 'sync'),
    ];
    (await batch(0)).release();
    await Promise.all(writers);
    const entries = await database.iterator().all();
    expect(entries.map(([key, value]) => [key, Buffer.from(value).toString()])).to.deep.equal([['b', 'new']]);
  });

  it('fails the writers of a failed batch, and no others', async () => {
    const failing = Promise.allSettled([commits.commit(put('a'), 'sync'), commits.commit(put('b'), 'sync')]);
    const { release } = await batch(0);
    const fine = commits.commit(put('c'), 'sync');
    release(new Error('no space left'));
    (await batch(1)).release();
    await fine;
    for (const outcome of await failing) {
      const reason: unknown = outcome.status === 'rejected' ? outcome.reason : undefined;
      expect(reason).to.be.instanceOf(PanalError).with.property('code', 'STORE_UNAVAILABLE');
    }
    expect(await database.keys().all()).to.deep.equal(['c']);
  });

  it('is idle when all is written', async () => {
    let idle = false;
    const writer = commits.commit(put('a'), 'sync');
    const waiting = commits.idle().then(() => (idle = true));
    const { release } = await batch(0);
    expect(idle).to.equal(false);
    release();
    await waiting;
    await writer;
    expect(await database.keys().all()).to.deep.equal(['a']);
  });

  it('applies a transaction only if no key is in its range, stored or written before it', async () => {
    const none = { gte: 'k', lt: 'l' };
    const claim = (value: string): Transaction => ({ writes: [['k1', Buffer.from(value)]], none });
    const first = [
      commits.commit(claim('first'), 'sync'),
      commits.commit(claim('second'), 'sync'),
      commits.commit(write(['k1', undefined]), 'sync'),
      commits.commit(claim('third'), 'sync'),
    ];
    (await batch(0)).release();
    expect((await Promise.all(first)).map(({ applied }) => applied)).to.deep.equal([true, false, true, true]);
    expect((await database.get('k1')).toString()).to.equal('third');
    const later = [commits.commit(claim('fourth'), 'sync'), commits.commit({ ...put('x'), none }, 'sync')];
    (await batch(1)).release();
    expect((await Promise.all(later)).map(({ applied }) => applied)).to.deep.equal([false, false]);
    expect(await database.keys().all()).to.deep.equal(['k1']);
  });

  it('gives each who takes numbers other ones, and takes back only the last', async () => {
    const take = (count: number, at?: number): Transaction => ({
      writes: [],
      take: { counter: 'last', count, ...(at !== undefined && { at }) },
    });
    const taken = [commits.commit(take(10), 'sync'), commits.commit(take(5), 'sync')];
    (await batch(0)).release();
    expect((await Promise.all(taken)).map(({ through }) => through)).to.deep.equal([10, 15]);
    const back = [commits.commit(take(-7, 10), 'sync'), commits.commit(take(-5, 15), 'sync')];
    const after = commits.commit(take(1), 'sync');
    (await batch(1)).release();
    expect((await Promise.all(back)).map(({ applied }) => applied)).to.deep.equal([false, true]);
    expect((await after).through).to.equal(11);
  });
});
