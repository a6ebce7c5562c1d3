import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelStore, type Durability } from '@panal/db';
import { expect } from 'chai';
import { CallNumbers } from '../../broker/src/calls/call-numbers.js';
import { temporaryFolder } from '../support/folder.js';
import { withLoopDisks } from '../support/groups.js';
import { LoopDisk } from '../../testkit/loop-disk.js';
import { eventually } from '../../testkit/wait.js';
import { aCall, settled } from './samples.js';

/** Outcomes that fill several write-ahead logs of LevelDB, 4 MiB each. */
const OUTCOMES = 6000;
const RESULT = Buffer.alloc(2000, 'x');

withLoopDisks('A power cut', function () {
  this.slow(10_000);
  let disks: LoopDisk[];
  let store: LevelStore;

  // Before the folder is removed, in which they are.
  afterEach(async () => {
    await store.close();
    for (const disk of disks) await disk.close();
  });
  const folder = temporaryFolder();
  beforeEach(async () => {
    disks = [await LoopDisk.open(join(folder(), 'disk'), 128)];
  });

  async function openStore(durability: Durability): Promise<LevelStore> {
    store = new LevelStore(join(folder(), 'disk', 'store'), { durability });
    await store.open();
    return store;
  }

  /** What a broker finds after a power cut now. */
  async function afterPowerCut<T>(look: (left: LevelStore) => Promise<T>): Promise<T> {
    const path = join(folder(), `left ${disks.length}`);
    const disk = await disks[0]?.afterPowerCut(path);
    if (disk !== undefined) disks.push(disk);
    const left = new LevelStore(join(path, 'store'), { durability: 'os' });
    await left.open();
    try {
      return await look(left);
    } finally {
      await left.close();
    }
  }

  const statusAfter = async (callNum: number): Promise<string | undefined> =>
    await afterPowerCut(async (left) => (await left.calls.getCall('ada', callNum))?.status);

  for (const durability of ['fsync', 'strict'] as const) {
    it(`takes no accepted call, and no change that a client was told of, with ${durability}`, async () => {
      await openStore(durability);
      await store.calls.acceptCall(aCall(1));
      await store.calls.acceptCall(aCall(2), { key: { name: 'key', fingerprint: 'f' } });
      await store.calls.acceptCall(aCall(3), { lazy: true });
      await store.calls.updateCall(aCall(3, { cancelling: true }));
      await afterPowerCut(async (left) => {
        expect((await left.calls.getCall('ada', 1))?.status).to.equal('PENDING');
        expect((await left.keys.getKeyedCall('ada', 'key'))?.callNum).to.equal(2);
        expect((await left.calls.getCall('ada', 3))?.cancelling).to.equal(true);
      });
    });
  }

  it('takes no outcome with strict', async () => {
    await openStore('strict');
    await store.calls.acceptCall(aCall(1));
    await store.calls.settleCall(settled(aCall(1)));
    expect(await statusAfter(1)).to.equal('DONE');
  });

  it('takes with fsync no outcome that is older than a moment', async () => {
    await openStore('fsync');
    await store.calls.acceptCall(aCall(1));
    await store.calls.settleCall(settled(aCall(1)));
    await eventually('it is on disk', async () => (await statusAfter(1)) === 'DONE');
  });

  it('takes with fsync no outcome that somebody has read', async () => {
    await openStore('fsync');
    for (const callNum of [1, 2]) {
      await store.calls.acceptCall(aCall(callNum));
      await store.calls.settleCall(settled(aCall(callNum)));
      if (callNum === 1) await store.calls.getCall('ada', 1);
      else await store.calls.listCalls({ owner: 'ada', limit: 1 });
      expect(await statusAfter(callNum)).to.equal('DONE');
    }
  });

  it('takes none of them either when LevelDB has gone on to another log', async () => {
    await openStore('fsync');
    const numbers = Array.from({ length: OUTCOMES }, (_, index) => index + 1);
    await Promise.all(numbers.map((n) => store.calls.settleCall(settled(aCall(n), { result: RESULT }))));
    await store.calls.getCall('ada', OUTCOMES);
    const left = await afterPowerCut((each) => each.calls.listCalls({ owner: 'ada', limit: OUTCOMES + 1 }));
    expect(left).to.have.length(OUTCOMES);
  });

  it('takes nothing after an orderly end', async () => {
    await openStore('fsync');
    await store.calls.settleCall(settled(aCall(1)));
    await store.close();
    expect(await statusAfter(1)).to.equal('DONE');
  });

  for (const durability of ['fsync', 'strict', 'os'] as const) {
    it(`lets no call number be given out twice, with ${durability}`, async () => {
      const numbers = new CallNumbers((await openStore(durability)).calls);
      await numbers.open();
      let last = 0;
      // The last one is awaited: nothing of it is stored.
      for (let n = 0; n < 1700; n++) {
        while (numbers.empty) await numbers.fill();
        last = numbers.take();
      }
      expect(last).to.equal(1700);
      await afterPowerCut(async (left) => {
        const next = new CallNumbers(left.calls);
        await next.open();
        await next.fill();
        expect(next.take()).to.be.greaterThan(last);
      });
      await numbers.close();
    });
  }

  it('takes of a disk what was not synced', async () => {
    await openStore('os');
    await mkdir(join(folder(), 'disk', 'other'));
    await writeFile(join(folder(), 'disk', 'other', 'synced'), 'x', { flush: true });
    await store.calls.acceptCall(aCall(1));
    expect(await statusAfter(1), 'a cut that takes nothing shows nothing').to.equal(undefined);
  });
});
