import { CALL_STATUSES } from '@panal/protocol';
import type { CallQuery, CallRecord, Store } from '@panal/db';
import { expect } from 'chai';
import fc from 'fast-check';
import { aCall, settled } from './samples.js';
import type { Subject } from './store-conformance.js';

export function describeCallListing(subject: Subject): void {
  it('lists calls newest first, page by page', async () => {
    for (let callNum = 1; callNum <= 12; callNum++) await subject.store.calls.acceptCall(aCall(callNum));
    expect(await numbers(subject.store, { owner: 'ada', limit: 5 })).to.deep.equal([12, 11, 10, 9, 8]);
    expect(await numbers(subject.store, { owner: 'ada', limit: 5, before: 8 })).to.deep.equal([
      7, 6, 5, 4, 3,
    ]);
    expect(await numbers(subject.store, { owner: 'ada', limit: 5, before: 3 })).to.deep.equal([2, 1]);
    expect(await numbers(subject.store, { owner: 'ada', limit: 5, before: 1 })).to.deep.equal([]);
  });

  it('lists a call once, by its status, while it settles', async () => {
    const { store } = subject;
    const calls = Array.from({ length: 40 }, (_, index) => aCall(index + 1));
    await Promise.all(calls.map((call) => store.calls.acceptCall(call)));
    const settling = Promise.all(calls.map((call) => store.calls.settleCall(settled(call))));
    for (let done = false; !done;) {
      const listed = await store.calls.listCalls({ owner: 'ada', funcName: 'dice', limit: 99 });
      expect(listed.map(({ callNum }) => callNum)).to.deep.equal(
        calls.map(({ callNum }) => callNum).reverse(),
      );
      const pending = await store.calls.listCalls({ owner: 'ada', status: 'PENDING', limit: 99 });
      expect(pending.every(({ status }) => status === 'PENDING')).to.equal(true);
      done = listed.every(({ status }) => status === 'DONE');
    }
    await settling;
  });

  it('answers every query as a plain list would', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(life, { maxLength: 30 }),
        fc.array(query, { maxLength: 8 }),
        async (lives, queries) => {
          // Each run has owners and numbers of its own in the one store.
          const prefix = `run ${++run} `;
          const calls = new Map<number, CallRecord>();
          const { store } = subject;
          await Promise.all(
            lives.map(async ({ owner, funcName, end, updates }, index) => {
              const call = aCall(run * 1000 + index, { owner: prefix + owner, funcName });
              calls.set(call.callNum, end === 'PENDING' ? call : settled(call, { status: end }));
              await store.calls.acceptCall(call, { lazy: true });
              for (let attempts = 1; attempts <= updates; attempts++)
                await store.calls.updateCall({ ...call, attempts });
              if (end !== 'PENDING') await store.calls.settleCall(settled(call, { status: end }));
            }),
          );
          for (const { owner, before, ...filter } of queries) {
            const asked = {
              owner: prefix + owner,
              ...filter,
              ...(before !== undefined && { before: run * 1000 + before }),
            };
            expect(await numbers(store, asked)).to.deep.equal(expected([...calls.values()], asked));
          }
        },
      ),
      { numRuns: 25 },
    );
  });
}

const owner = fc.constantFrom('a', 'ab', 'b');
const funcName = fc.constantFrom('f', 'fg', 'g');
const status = fc.constantFrom(...CALL_STATUSES);
const end = fc.constantFrom(...CALL_STATUSES.filter((each) => each !== 'RUNNING'));
const life = fc.record({ owner, funcName, end, updates: fc.nat(1) });
const query = fc.record(
  { owner, funcName, status, before: fc.nat(30), limit: fc.integer({ min: 1, max: 12 }) },
  { requiredKeys: ['owner', 'limit'] },
);

function expected(
  calls: CallRecord[],
  { owner, before = Infinity, status, funcName, limit }: CallQuery,
): number[] {
  return calls
    .filter((call) => call.owner === owner && call.callNum < before)
    .filter((call) => status === undefined || call.status === status)
    .filter((call) => funcName === undefined || call.funcName === funcName)
    .map(({ callNum }) => callNum)
    .sort((a, b) => b - a)
    .slice(0, limit);
}

async function numbers(store: Store, query: CallQuery): Promise<number[]> {
  return (await store.calls.listCalls(query)).map(({ callNum }) => callNum);
}
