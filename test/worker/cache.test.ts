import { mkdir, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { CacheKeeper, type Cache, type CacheKeeperOptions } from '../../worker/src/cache/cache-keeper.js';
import { copyFrom, FolderCache, removeUnfinished, touch } from '../../worker/src/cache/folder-cache.js';
import { spareRoom } from '../../worker/src/cache/spare-room.js';
import { Unprepared } from '../../worker/src/errors.js';
import { deepFolders, temporaryFolder } from '../support/folder.js';

/** What entries are measured in here; a folder takes a few KiB of disk itself. */
const UNIT = 64 * 1024;
const MINUTE = 60_000;

describe("a worker's cache", () => {
  const folder = temporaryFolder();
  const log = pino({ level: 'silent' });

  /** A folder with a file of so many units, or a file, that was used so many minutes ago. */
  async function put(name: string, units: number, minutesAgo: number, isFile = false): Promise<void> {
    const path = join(folder(), name);
    if (!isFile) await mkdir(join(path, 'deep'), { recursive: true });
    await writeFile(isFile ? path : join(path, 'deep', 'code'), Buffer.alloc(units * UNIT));
    const then = new Date(Date.now() - minutesAgo * MINUTE);
    await utimes(path, then, then);
  }

  async function sweep(
    units: number,
    { inUse = [], ...options }: { inUse?: readonly string[] } & Partial<CacheKeeperOptions> = {},
  ): Promise<string[]> {
    const cache = new FolderCache(folder(), (path) => inUse.some((name) => path === join(folder(), name)));
    await new CacheKeeper({ caches: [cache], limit: units * UNIT, log, ...options }).sweep();
    return (await readdir(folder())).sort();
  }

  it('keeps everything below its limit', async () => {
    await put('a', 40, 30);
    await put('b', 40, 20, true);
    expect(await sweep(81)).to.deep.equal(['a', 'b']);
  });

  it('counts what is on the disk: no holes in files, and what is too deep to be named', async () => {
    await put('sparse', 1, 30);
    await truncate(join(folder(), 'sparse', 'deep', 'code'), 1000 * UNIT);
    await put('nested', 1, 20);
    deepFolders(join(folder(), 'nested', 'deep'));
    expect(await sweep(10)).to.deep.equal(['nested', 'sparse']);
    expect(await sweep(0)).to.deep.equal([]);
  });

  it('past its limit gives up what was used longest ago, down to a tenth below it', async () => {
    for (const [at, name] of ['a', 'b', 'c', 'd'].entries()) await put(name, 30, 40 - 10 * at, at % 2 === 1);
    await touch(join(folder(), 'a'));
    expect(await sweep(101)).to.deep.equal(['a', 'c', 'd']);
    await put('e', 25, 15);
    expect(await sweep(101), '115 are past 101, and 85 below 90.9').to.deep.equal(['a', 'd', 'e']);
  });

  it('keeps what is in use, and what was used a moment ago, also where that is too much', async () => {
    await put('old', 50, 60);
    await put('older', 50, 90);
    await put('young', 50, 0.5);
    expect(await sweep(10, { inUse: ['older'] })).to.deep.equal(['older', 'young']);
  });

  it('leaves alone what is being made, and removes it when it was left unfinished', async () => {
    await put('making-x', 50, 90);
    await put('a', 50, 90);
    expect(await sweep(10)).to.deep.equal(['making-x']);
    await removeUnfinished(folder());
    expect(await readdir(folder())).to.deep.equal([]);
    expect(await touch(join(folder(), 'a'))).to.equal(false);
  });

  it('makes room on a disk that is too full, whoever filled it', async () => {
    for (const [at, name] of ['a', 'b', 'c'].entries()) await put(name, 40, 30 - at);
    expect(await sweep(1000, { spare: async () => 5 * UNIT }), 'there is room').to.deep.equal([
      'a',
      'b',
      'c',
    ]);
    expect(await sweep(1000, { spare: async () => -30 * UNIT })).to.deep.equal(['b', 'c']);
    expect(await spareRoom(folder())).to.be.within(-(2 ** 30), 2 ** 50);
  });

  it('is not kept from the rest by what it cannot remove', async () => {
    await put('a', 40, 30);
    const remove = async (): Promise<boolean> => Promise.reject(new Error('the engine is away'));
    const stuck: Cache = { entries: async () => [{ bytes: 40 * UNIT, usedAt: async () => 0, remove }] };
    const own = new FolderCache(folder());
    expect(await sweep(50, { caches: [stuck, own] })).to.deep.equal([]);
  });

  it('does not remove what was used since it was looked at', async () => {
    await put('a', 40, 30);
    const [entry] = await new FolderCache(folder()).entries();
    await touch(join(folder(), 'a'));
    expect(await entry?.remove()).to.equal(false);
  });

  it('tells whoever copies what is removed meanwhile to have it made again', async () => {
    await put('a', 40, 30);
    const path = join(folder(), 'a');
    expect(await copyFrom(path, async () => 'copied')).to.equal('copied');
    const copying = copyFrom(path, async () => {
      await rm(path, { recursive: true });
      await readdir(path);
    });
    expect(await copying.catch((error: unknown) => error)).to.be.instanceOf(Unprepared);
    const failing = copyFrom(folder(), async () => Promise.reject(new Error('the disk is full')));
    expect(await failing.catch((error: unknown) => error)).to.have.property('message', 'the disk is full');
  });
});
