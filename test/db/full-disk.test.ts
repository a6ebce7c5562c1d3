import { join } from 'node:path';
import { LevelStore } from '@panal/db';
import { expect } from 'chai';
import { smallDisk } from '../support/small-disk.js';
import { aCall, aRuntime } from './samples.js';
import { codeOf } from './store-conformance.js';

describe('A store on a full disk', () => {
  const disk = smallDisk(24);
  const long = (callNum: number) => aCall(callNum, { params: new Uint8Array(512 * 1024).fill(callNum) });

  it('refuses writes, goes on reading, and heals when there is room again', async () => {
    const store = new LevelStore(join(disk().path, 'store'), { durability: 'fsync' });
    await store.open();
    await store.functions.putRuntime(aRuntime('python'));
    for (let callNum = 1; callNum <= 5; callNum++) await store.calls.acceptCall(long(callNum));
    await disk().fill();
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(await codeOf(store.calls.acceptCall(long(6)))).to.equal('STORE_UNAVAILABLE');
      expect(store.failing).to.equal(true);
      expect((await store.calls.getCall('ada', 5))?.params).to.have.length(512 * 1024);
      expect(await store.functions.getRuntime('ada', 'python')).to.include({ name: 'python' });
    }
    expect(await codeOf(store.heal())).to.equal('STORE_UNAVAILABLE');
    await disk().free();
    await store.heal();
    expect(store.failing).to.equal(false);
    await store.calls.acceptCall(long(6));
    await store.close();
    await store.open();
    for (const callNum of [1, 5, 6]) {
      expect((await store.calls.getCall('ada', callNum))?.params).to.deep.equal(
        Buffer.from(long(callNum).params),
      );
    }
    await store.close();
  });
});
