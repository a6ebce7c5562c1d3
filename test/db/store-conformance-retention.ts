import { expect } from 'chai';
import type { CallRecord, CallRetention, Store } from '@panal/db';
import { CALL_STATUSES, isSettled } from '@panal/protocol';
import { aCall, plain, settled } from './samples.js';
import type { Subject } from './store-conformance.js';

/** What a store must do with calls that are kept no longer. A call of a sample is accepted at 1000 + its number. */
export function describeRetention(subject: Subject): void {
  describe('calls that are not to be kept', () => {
    it('go once they settled too long ago, with all that lists them', async () => {
      const { store } = subject;
      for (const callNum of [1, 2, 3, 4]) {
        await store.calls.acceptCall(aCall(callNum));
        await store.calls.settleCall(settled(aCall(callNum), { settledAt: 5000 + callNum }));
      }
      expect(await remove(store, { settledSince: 5003 })).to.equal(2);
      await subject.reopen();
      expect(await listed(subject.store)).to.deep.equal([3, 4]);
      expect(await subject.store.calls.getCall('ada', 2)).to.equal(undefined);
      expect(plain(await subject.store.calls.getCall('ada', 3))).to.deep.equal(
        settled(aCall(3), { settledAt: 5003 }),
      );
      expect(await remove(subject.store, { settledSince: 5003 })).to.equal(0);
    });

    it('count from when they settled, not from when they were accepted', async () => {
      const { store } = subject;
      await store.calls.settleCall(settled(aCall(1), { settledAt: 9000 }));
      await store.calls.settleCall(settled(aCall(2), { settledAt: 2000 }));
      expect(await remove(store, { settledSince: 3000 })).to.equal(1);
      expect(await listed(store)).to.deep.equal([1]);
    });

    it('are the oldest of each owner that has more than are kept', async () => {
      const { store } = subject;
      for (let callNum = 1; callNum <= 12; callNum++) {
        const owner = callNum % 4 === 0 ? 'zoe' : 'ada';
        await store.calls.settleCall(settled(aCall(callNum, { owner })));
      }
      expect(await remove(store, { newest: 4 })).to.equal(5);
      expect(await listed(store)).to.deep.equal([7, 9, 10, 11]);
      expect(await listed(store, 'zoe')).to.deep.equal([4, 8, 12]);
    });

    it('are counted on from one time to the next, also across a restart', async () => {
      let last = 0;
      for (const [more, expected] of [
        [5, [3, 4, 5]],
        [1, [4, 5, 6]],
        [0, [4, 5, 6]],
        [7, [11, 12, 13]],
      ] as const) {
        for (let n = 0; n < more; n++) await subject.store.calls.settleCall(settled(aCall(++last)));
        await remove(subject.store, { newest: 3 });
        expect(await listed(subject.store)).to.deep.equal(expected);
        await subject.reopen();
      }
    });

    it('are never those that have not settled, however old, nor do those count', async () => {
      const { store } = subject;
      for (const callNum of [1, 3, 5, 7]) await store.calls.acceptCall(aCall(callNum));
      await store.calls.acceptCall(aCall(9), { lazy: true });
      for (const callNum of [2, 4, 6]) await store.calls.settleCall(settled(aCall(callNum)));
      expect(await remove(store, { newest: 2 })).to.equal(1);
      expect(await listed(store)).to.deep.equal([1, 3, 4, 5, 6, 7, 9]);
      expect(await remove(store, { settledSince: 1e12, newest: 0 })).to.equal(2);
      expect(await listed(store)).to.deep.equal([1, 3, 5, 7, 9]);
      await store.calls.settleCall(settled(aCall(1)));
      expect(await remove(store, { settledSince: 1e12 })).to.equal(1);
      expect(await listed(store)).to.deep.equal([3, 5, 7, 9]);
    });

    it('are those of every way to settle', async () => {
      const { store } = subject;
      const statuses = CALL_STATUSES.filter(isSettled);
      for (const [index, status] of statuses.entries()) {
        await store.calls.settleCall(settled(aCall(index + 1), { status }));
      }
      expect(await remove(store, { settledSince: 1e12 })).to.equal(statuses.length);
      for (const status of statuses) {
        expect(await store.calls.listCalls({ owner: 'ada', status, limit: 9 })).to.deep.equal([]);
      }
      expect(await store.calls.lastCallNum(), 'no number is given out again').to.equal(statuses.length);
    });

    it('may be more than go at once, and whoever removes them may leave off', async () => {
      const { store } = subject;
      const numbers = Array.from({ length: 2500 }, (_, index) => index + 1);
      await Promise.all(numbers.map((callNum) => store.calls.settleCall(settled(aCall(callNum)))));
      let first = 0;
      for await (const removed of store.calls.removeCalls({ newest: 10 })) {
        first += removed;
        if (first > 0) break;
      }
      expect(first).to.be.within(1, 2489);
      expect(await remove(store, { newest: 10 })).to.equal(2490 - first);
      expect(await listed(store)).to.deep.equal(numbers.slice(-10));
    });

    it('leave their keys, so that none makes a second call', async () => {
      const { store } = subject;
      await store.calls.acceptCall(aCall(1), { key: { name: 'order 7', fingerprint: 'f' } });
      await store.calls.settleCall(settled(aCall(1)));
      expect(await remove(store, { newest: 0 })).to.equal(1);
      expect(await store.keys.getKeyedCall('ada', 'order 7')).to.include({ callNum: 1 });
    });

    it('are not put back', async () => {
      const { store } = subject;
      const again: CallRecord = aCall(1, { putBack: { at: 9000, attempts: 1 } });
      await store.calls.settleCall(settled(aCall(1), { status: 'DEAD' }));
      await remove(store, { newest: 0 });
      expect(await store.calls.putBackCall(again)).to.equal(false);
      expect(await listed(store)).to.deep.equal([]);
    });

    it('are put back or removed, and never both', async () => {
      const { store } = subject;
      for (let callNum = 1; callNum <= 40; callNum++) {
        await store.calls.settleCall(settled(aCall(callNum), { status: 'DEAD' }));
        const [isBack] = await Promise.all([
          store.calls.putBackCall(aCall(callNum)),
          remove(store, { newest: 0 }),
        ]);
        expect((await store.calls.getCall('ada', callNum))?.status).to.equal(isBack ? 'PENDING' : undefined);
      }
    });

    it('are not counted for a user who takes the name of one who was deleted', async () => {
      const { store } = subject;
      for (let callNum = 1; callNum <= 9; callNum++) await store.calls.settleCall(settled(aCall(callNum)));
      await remove(store, { newest: 9 });
      await store.users.deleteUser('ada');
      await store.calls.settleCall(settled(aCall(10)));
      expect(await remove(store, { newest: 1 })).to.equal(0);
      expect(await listed(store)).to.deep.equal([10]);
    });
  });
}

/** Removes what is not to be kept; resolves with how many calls that were. */
export async function remove(store: Store, retention: CallRetention): Promise<number> {
  let total = 0;
  for await (const removed of store.calls.removeCalls(retention)) total += removed;
  return total;
}

/** Numbers of an owner's calls, ascending; the same however they are asked for. */
export async function listed(store: Store, owner = 'ada'): Promise<number[]> {
  const numbers = async (query: { status?: CallRecord['status']; funcName?: string }): Promise<number[]> =>
    (await store.calls.listCalls({ owner, limit: 9999, ...query })).map(({ callNum }) => callNum);
  const byStatus = await Promise.all(CALL_STATUSES.map((status) => numbers({ status })));
  const ascending = (found: number[]): number[] => [...found].sort((a, b) => a - b);
  const all = ascending(await numbers({}));
  expect(ascending(byStatus.flat())).to.deep.equal(all);
  expect(ascending(await numbers({ funcName: 'dice' }))).to.deep.equal(all);
  return all;
}
