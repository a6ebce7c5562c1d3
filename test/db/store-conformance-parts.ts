import { expect } from 'chai';
import { LIST_BYTES, type CallRecord, type Store } from '@panal/db';
import { aCall, aUser, plain, settled } from './samples.js';
import type { Subject } from './store-conformance.js';

const bytes = (size: number, byte: number): Uint8Array => new Uint8Array(size).fill(byte);
const KiB = 1024;

/** What any store has to do with calls that have long parts. */
export function describeLongParts(subject: Subject): void {
  describe('a call with long parts', () => {
    const long = aCall(1, { params: bytes(200 * KiB, 1) });
    const ended = settled(long, { result: bytes(300 * KiB, 2), logs: bytes(20 * KiB, 3), attempts: 2 });

    const unsettled = async (): Promise<CallRecord[]> => {
      const calls: CallRecord[] = [];
      for await (const call of subject.store.calls.unsettledCalls()) calls.push(call);
      return calls;
    };

    it('is given whole alone, and with the beginning of its parts in lists', async () => {
      await subject.store.calls.acceptCall(long);
      expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(long);
      await subject.store.calls.settleCall(ended);
      await subject.reopen();
      expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(ended);
      const [listed] = await subject.store.calls.listCalls({ owner: 'ada', limit: 1 });
      expect(listed?.apart).to.deep.equal({ params: 200 * KiB, result: 300 * KiB, logs: 20 * KiB });
      expect(listed?.params).to.have.length(0);
      expect(listed?.result).to.have.length(LIST_BYTES);
      expect(listed?.logs).to.have.length(LIST_BYTES);
    });

    it('waits without them, and changes and ends without them', async () => {
      await subject.store.calls.acceptCall(long);
      await subject.reopen();
      const [waiting] = await unsettled();
      if (waiting === undefined) throw new Error('no call waits');
      expect([waiting.params.byteLength, waiting.apart]).to.deep.equal([0, { params: 200 * KiB }]);
      expect(await subject.store.calls.getCallPart('ada', 1, 'params')).to.have.length(200 * KiB);
      await subject.store.calls.updateCall({ ...waiting, attempts: 1, logs: bytes(5 * KiB, 9) });
      expect((await subject.store.calls.getCall('ada', 1))?.logs).to.have.length(5 * KiB);
      await subject.store.calls.settleCall(settled(waiting, { attempts: 2, logs: bytes(3, 9) }));
      const whole = await subject.store.calls.getCall('ada', 1);
      expect(whole?.params).to.have.length(200 * KiB);
      expect(whole?.logs).to.have.length(3);
      expect(await subject.store.calls.getCallPart('ada', 1, 'logs')).to.equal(undefined);
    });

    it('shows parts of up to a page in lists, whole', async () => {
      await subject.store.calls.acceptCall(aCall(1, { params: bytes(5 * KiB, 1) }));
      const [listed] = await subject.store.calls.listCalls({ owner: 'ada', limit: 1 });
      expect(listed?.params).to.have.length(5 * KiB);
      expect(listed?.apart).to.equal(undefined);
    });

    it('leaves nothing when it is removed, put back or goes with its owner', async () => {
      const { store } = subject;
      const parts = async (callNum: number): Promise<unknown[]> =>
        (await partsOf(store, callNum)).map((part) => part !== undefined);
      await store.calls.settleCall(ended);
      await store.calls.settleCall({ ...ended, callNum: 2, status: 'DEAD' });
      expect(await parts(2)).to.deep.equal([true, true, true]);
      await store.calls.putBackCall({ ...long, callNum: 2 });
      expect(await parts(2)).to.deep.equal([true, false, true]);
      for await (const removed of store.calls.removeCalls({ settledSince: 9000 }))
        expect(removed).to.be.at.most(1);
      expect(await parts(1)).to.deep.equal([false, false, false]);
      await store.users.addUser(aUser('ada'));
      await store.users.deleteUser('ada');
      expect(await parts(2)).to.deep.equal([false, false, false]);
    });
  });
}

const partsOf = (store: Store, callNum: number): Promise<unknown[]> =>
  Promise.all(
    (['params', 'result', 'logs'] as const).map((part) => store.calls.getCallPart('ada', callNum, part)),
  );
