import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { startOf } from '@panal/support';
import { MachineClaims, UNCLAIMED } from '../../worker/src/sandbox/process/uid-claims.js';
import { OwnerUids } from '../../worker/src/sandbox/process/uids.js';
import { temporaryFolder } from '../support/folder.js';

const RANGE = { first: 200_000, last: 200_002 };

describe("users of owners' functions", () => {
  const folder = temporaryFolder();
  const path = (worker = 'one'): string => join(folder(), worker, 'uids.json');
  const open = async (range = RANGE, worker = 'one', claims = UNCLAIMED): Promise<OwnerUids> =>
    await OwnerUids.open(path(worker), range, claims);
  const claims = async (): Promise<MachineClaims> => await MachineClaims.open(join(folder(), 'claims'));
  const failure = async (tried: Promise<unknown>): Promise<string> => await tried.then(() => 'none', String);

  async function all(uids: OwnerUids, ...owners: string[]): Promise<number[]> {
    return await Promise.all(owners.map((owner) => uids.of(owner)));
  }

  it('are the same for one owner, and of two owners never, also after a restart', async () => {
    const given = await all(await open(), 'alice', 'bob', 'alice');
    expect(given).to.deep.equal([200_000, 200_001, 200_000]);
    expect(await all(await open(), 'carol', 'bob', 'alice')).to.deep.equal([200_002, 200_001, 200_000]);
  });

  it('run out, and then a new owner gets an error, while those before keep theirs', async () => {
    const uids = await open();
    await all(uids, 'alice', 'bob', 'carol');
    const before = await readFile(path(), 'utf8');
    for (const again of [uids, await open()]) {
      expect(await failure(again.of('dave'))).to.contain('every user number of FAAS_UIDS has its owner');
      expect(await again.of('carol')).to.equal(200_002);
    }
    expect(await readFile(path(), 'utf8')).to.equal(before);
  });

  const damaged: [what: string, content: string][] = [
    ['empty', ''],
    ['cut short', '[["alice",200000],["bob",2000'],
    ['no list', '{"alice":200000}'],
    ['a number twice', '[["alice",200000],["bob",200000]]'],
    ['root', '[["alice",0]]'],
    ['no number', '[["alice","200000"]]'],
    ['half a number', '[["alice",200000.5]]'],
    ['no owner', '[[null,200000]]'],
    ['zeros', '\0\0\0\0'],
  ];
  for (const [what, content] of damaged) {
    it(`are not made up anew if their file is damaged: ${what}`, async () => {
      await (await open()).of('alice');
      await writeFile(path(), content);
      expect(await failure(open())).to.contain(`${path()} is damaged`);
      expect(await readFile(path(), 'utf8')).to.equal(content);
    });
  }

  it('are not used outside of a changed range, and not given to anybody else when it is changed back', async () => {
    expect(await all(await open(), 'alice', 'bob')).to.deep.equal([200_000, 200_001]);
    const changed = { first: 300_000, last: 300_009 };
    expect(await all(await open(changed), 'alice', 'carol')).to.deep.equal([300_000, 300_001]);
    expect(await all(await open(), 'dave', 'alice', 'bob')).to.deep.equal([200_002, 200_000, 200_001]);
  });

  it('of two workers of a machine are never the same', async () => {
    const [first, second] = await Promise.all([claims(), claims()]);
    const range = { first: 200_000, last: 200_099 };
    const one = await open(range, 'one', first);
    const other = await open(range, 'other', second);
    const owners = Array.from({ length: 20 }, (_, index) => `owner-${index}`);
    const given = (await Promise.all([all(one, ...owners), all(other, ...owners)])).flat();
    expect(new Set(given).size).to.equal(40);
    expect(new Set([...(await first.held()), ...(await second.held())])).to.deep.equal(new Set(given));
  });

  it('come again with their worker, unless another one has taken them meanwhile', async () => {
    const first = await claims();
    expect(await all(await open(RANGE, 'one', first), 'alice', 'bob')).to.deep.equal([200_000, 200_001]);
    await first.release();
    const other = await claims();
    expect(await all(await open(RANGE, 'other', other), 'eve')).to.deep.equal([200_000]);
    const again = await claims();
    expect(await all(await open(RANGE, 'one', again), 'alice', 'bob')).to.deep.equal([200_002, 200_001]);
    await again.release();
    await other.release();
    expect(readdirSync(join(folder(), 'claims'))).to.deep.equal([]);
  });

  it('that a dead worker held are free, whoever has its process number now', async () => {
    await (await claims()).release();
    const dead = spawnSync('true').pid;
    const running = await startOf(String(process.pid));
    const left = [`200000.${dead}.${running}.aa`, `200001.${process.pid}.1.bb`, '200002.rubbish'];
    for (const name of left) await writeFile(join(folder(), 'claims', name), '');
    expect(await all(await open(RANGE, 'one', await claims()), 'a', 'b', 'c')).to.deep.equal([
      200_000, 200_001, 200_002,
    ]);
    expect(left.filter((name) => existsSync(join(folder(), 'claims', name)))).to.deep.equal([]);
  });
});
