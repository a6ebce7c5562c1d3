import { expect } from 'chai';
import type { CallRecord, Store } from '@panal/db';
import { aCall, plain, settled } from './samples.js';
import type { Subject } from './store-conformance.js';

const key = { name: 'order 7', fingerprint: 'f1' };

/** What a store must do with calls that are put back, and with the keys of calls. */
export function describeCallKeys(subject: Subject): void {
  describe('a call that is put back', () => {
    const dead = settled(aCall(1), { status: 'DEAD', attempts: 5 });
    const again: CallRecord = aCall(1, { attempts: 5, putBack: { at: 9000, attempts: 5 } });

    it('waits again, and is dead no more', async () => {
      await subject.store.calls.acceptCall(aCall(1));
      await subject.store.calls.settleCall(dead);
      expect(await listed(subject.store, 'DEAD')).to.deep.equal([1]);
      await subject.store.calls.putBackCall(again);
      await subject.reopen();
      expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(again);
      expect(await listed(subject.store, 'DEAD')).to.deep.equal([]);
      expect(await listed(subject.store, 'PENDING')).to.deep.equal([1]);
      expect(await unsettled(subject.store)).to.deep.equal([1]);
    });

    it('may die again', async () => {
      await subject.store.calls.settleCall(dead);
      await subject.store.calls.putBackCall(again);
      await subject.store.calls.settleCall({ ...dead, attempts: 10 });
      expect(await listed(subject.store, 'DEAD')).to.deep.equal([1]);
      expect(await unsettled(subject.store)).to.deep.equal([]);
    });
  });

  describe('the key of a call', () => {
    it('stands for its call, also after a restart', async () => {
      await subject.store.calls.acceptCall(aCall(1), { key });
      await subject.reopen();
      const keyed = { callNum: 1, fingerprint: 'f1', acceptedAt: 1001 };
      expect(await subject.store.keys.getKeyedCall('ada', key.name)).to.deep.equal(keyed);
      expect(await subject.store.keys.getKeyedCall('ada', 'order')).to.equal(undefined);
      expect(await subject.store.keys.getKeyedCall('zoe', key.name)).to.equal(undefined);
    });

    it('stands for the call that was accepted last with it', async () => {
      for (const callNum of [2, 3, 1]) await subject.store.calls.acceptCall(aCall(callNum), { key });
      expect((await subject.store.keys.getKeyedCall('ada', key.name))?.callNum).to.equal(3);
    });

    it('may be any text', async () => {
      const names = ['a', 'a\0b', 'a\u0001', 'a\0', '🐝'];
      for (const [index, name] of names.entries()) {
        await subject.store.calls.acceptCall(aCall(index + 1), { key: { name, fingerprint: name } });
      }
      for (const [index, name] of names.entries()) {
        expect(await subject.store.keys.getKeyedCall('ada', name)).to.include({ callNum: index + 1 });
      }
    });

    it('is forgotten when it expires; its call stays', async () => {
      for (const callNum of [1, 2, 3]) {
        await subject.store.calls.acceptCall(aCall(callNum), { key: { ...key, name: `key ${callNum}` } });
      }
      await subject.store.keys.expireCallKeys(1003);
      await subject.reopen();
      expect(await subject.store.keys.getKeyedCall('ada', 'key 2')).to.equal(undefined);
      expect(await subject.store.keys.getKeyedCall('ada', 'key 3')).to.include({ callNum: 3 });
      expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(aCall(1));
    });

    it('that was used anew stays when its earlier use expires', async () => {
      await subject.store.calls.acceptCall(aCall(1), { key });
      await subject.store.calls.acceptCall(aCall(2), { key });
      await subject.store.keys.expireCallKeys(1002);
      expect(await subject.store.keys.getKeyedCall('ada', key.name)).to.include({ callNum: 2 });
    });

    it('goes with its user', async () => {
      await subject.store.calls.acceptCall(aCall(1), { key });
      await subject.store.users.deleteUser('ada');
      expect(await subject.store.keys.getKeyedCall('ada', key.name)).to.equal(undefined);
      await subject.store.keys.expireCallKeys(5000);
    });
  });
}

async function listed(store: Store, status: CallRecord['status']): Promise<number[]> {
  const calls = await store.calls.listCalls({ owner: 'ada', status, limit: 10 });
  const ofFunction = await store.calls.listCalls({ owner: 'ada', status, funcName: 'dice', limit: 10 });
  expect(ofFunction.map(({ callNum }) => callNum)).to.deep.equal(calls.map(({ callNum }) => callNum));
  return calls.map(({ callNum }) => callNum);
}

async function unsettled(store: Store): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { callNum } of store.calls.unsettledCalls()) numbers.push(callNum);
  return numbers;
}
