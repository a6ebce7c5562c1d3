import { open, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { damageIn, LevelStore } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { temporaryFolder } from '../support/folder.js';
import { aCall, settled } from './samples.js';

const CALLS = 200;

describe('A damaged store', () => {
  const folder = temporaryFolder();
  const openStore = async (): Promise<LevelStore> => {
    const store = new LevelStore(folder(), { durability: 'os' });
    await store.open();
    return store;
  };

  beforeEach(async () => {
    const store = await openStore();
    for (let callNum = 1; callNum <= CALLS; callNum++) {
      await store.calls.settleCall(settled(aCall(callNum), { result: Buffer.alloc(300, callNum) }));
    }
    await store.close();
  });

  async function fileOf(kind: RegExp): Promise<string> {
    const name = (await readdir(folder())).find((each) => kind.test(each));
    return join(folder(), name ?? expect.fail('there is no such file'));
  }

  async function overwrite(path: string, at: number): Promise<void> {
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(64, 0xa5), 0, 64, at);
    await file.close();
  }

  const listed = async (store: LevelStore): Promise<number> =>
    (await store.calls.listCalls({ owner: 'ada', limit: 1000 })).length;

  it('says what it lost where it can be opened all the same', async () => {
    await overwrite(await fileOf(/\.log$/), 40_000);
    const store = await openStore();
    const damage = await damageIn(folder());
    expect(damage.join('\n')).to.match(/^\d+\.log: dropping \d+ bytes; Corruption/);
    expect(await listed(store))
      .to.be.greaterThan(0)
      .and.to.be.lessThan(CALLS);
    await store.close();
    await openStore().then((again) => again.close());
    expect(await damageIn(folder()), 'it is mended by then').to.deep.equal([]);
  });

  it('goes on with all that was written before its log was cut short', async () => {
    await truncate(await fileOf(/\.log$/), 40_000);
    const store = await openStore();
    const left = await listed(store);
    expect(left).to.be.greaterThan(0).and.to.be.lessThan(CALLS);
    expect(await store.calls.getCall('ada', left)).to.include({ callNum: left, status: 'DONE' });
    expect(await store.calls.getCall('ada', left + 1)).to.equal(undefined);
    await store.close();
  });

  it('is refused without its manifest', async () => {
    await writeFile(await fileOf(/^MANIFEST/), 'nonsense');
    const failure: unknown = await openStore().catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(PanalError).with.property('code', 'STORE_UNAVAILABLE');
    expect(String(failure)).to.include('damaged').and.to.include(folder());
  });

  it('says nothing where it is whole', async () => {
    const store = await openStore();
    expect(await damageIn(folder())).to.deep.equal([]);
    expect(await listed(store)).to.equal(CALLS);
    await store.close();
  });
});
