import { expect } from 'chai';
import { aCall, settled } from './samples.js';
import { listed, remove } from './store-conformance-retention.js';
import type { Subject } from './store-conformance.js';

const KiB = 1024;

/** What a store must know of the bytes of settled calls, and how it holds to a bound of them. */
export function describeCallBytes(subject: Subject): void {
  describe('bytes of settled calls', () => {
    const settle = async (callNum: number, owner = 'ada', bytes = 10 * KiB): Promise<void> => {
      const result = new Uint8Array(bytes);
      await subject.store.calls.settleCall(settled(aCall(callNum, { owner }), { result }));
    };

    it('are summed up of each owner and of all, also across a restart', async () => {
      for (const callNum of [1, 2, 3]) await settle(callNum);
      await settle(4, 'zoe', 40 * KiB);
      await subject.store.calls.acceptCall(aCall(5, { params: new Uint8Array(99 * KiB) }));
      for (const open of [async () => subject.store, () => subject.reopen()]) {
        const store = await open();
        const [ada, zoe, all] = [
          await store.calls.callUsage('ada'),
          await store.calls.callUsage('zoe'),
          await store.calls.callUsage(),
        ];
        expect(ada.calls).to.equal(3);
        expect(ada.bytes).to.be.within(30 * KiB, 33 * KiB);
        expect(zoe.bytes).to.be.within(40 * KiB, 60 * KiB);
        expect(all).to.deep.equal({ calls: 4, bytes: ada.bytes + zoe.bytes });
      }
    });

    it('are those of calls that settle at the same time, each once', async () => {
      const numbers = Array.from({ length: 2000 }, (_, index) => index + 1);
      await Promise.all(numbers.map((callNum) => settle(callNum, callNum % 3 === 0 ? 'zoe' : 'ada', 10)));
      const { bytes } = await subject.store.calls.callUsage('zoe');
      expect(await subject.store.calls.callUsage()).to.deep.equal({
        calls: 2000,
        bytes: (bytes / 666) * 2000,
      });
    });

    it('are none once the calls are put back, removed, or gone with their owner', async () => {
      const { store } = subject;
      const dead = settled(aCall(1), {
        status: 'DEAD',
        logs: new Uint8Array(30 * KiB),
        error: { code: 'FUNCTION_FAILED', message: 'exit code 3 🐝' },
      });
      await store.calls.settleCall(dead);
      expect(await store.calls.putBackCall(aCall(1, { putBack: { at: 9000, attempts: 1 } }))).to.equal(true);
      expect(await store.calls.callUsage()).to.deep.equal({ calls: 0, bytes: 0 });
      await store.calls.settleCall(dead);
      await settle(2, 'ada', 20 * KiB);
      await settle(3, 'zoe');
      const zoe = await store.calls.callUsage('zoe');
      await remove(store, { newest: 1 });
      await store.users.deleteUser('ada');
      expect(await store.calls.callUsage('ada')).to.deep.equal({ calls: 0, bytes: 0 });
      expect(await store.calls.callUsage()).to.deep.equal(zoe);
      await remove(store, { newest: 0 });
      expect(await store.calls.callUsage()).to.deep.equal({ calls: 0, bytes: 0 });
    });

    it('let the oldest calls of an owner go that has too many', async () => {
      const { store } = subject;
      for (let callNum = 1; callNum <= 10; callNum++) await settle(callNum, callNum > 8 ? 'zoe' : 'ada');
      expect(await remove(store, { ownerBytes: 40 * KiB })).to.equal(5);
      expect(await listed(store)).to.deep.equal([6, 7, 8]);
      expect(await listed(store, 'zoe')).to.deep.equal([9, 10]);
      expect((await store.calls.callUsage('ada')).bytes).to.be.at.most(40 * KiB);
      expect(await remove(store, { ownerBytes: 40 * KiB })).to.equal(0);
    });

    it('let the oldest calls go if all have too many, whoever owns them', async () => {
      const { store } = subject;
      for (let callNum = 1; callNum <= 12; callNum++) {
        await settle(callNum, ['ada', 'bob', 'zoe'][callNum % 3]);
      }
      expect(await remove(store, { bytes: 60 * KiB })).to.equal(7);
      const left = await Promise.all(['ada', 'bob', 'zoe'].map((owner) => listed(store, owner)));
      expect(left).to.deep.equal([[9, 12], [10], [8, 11]]);
      expect((await store.calls.callUsage()).bytes).to.be.at.most(60 * KiB);
    });

    it('never let a call go that has not settled', async () => {
      const { store } = subject;
      for (const callNum of [1, 4]) {
        await store.calls.acceptCall(aCall(callNum, { params: new Uint8Array(50 * KiB) }));
      }
      for (const callNum of [2, 3, 5]) await settle(callNum);
      expect(await remove(store, { bytes: 0, ownerBytes: 0 })).to.equal(3);
      expect(await listed(store)).to.deep.equal([1, 4]);
      await store.calls.settleCall(settled(aCall(1)));
      expect(await remove(store, { bytes: 0 })).to.equal(1);
      expect(await listed(store)).to.deep.equal([4]);
    });
  });
}
