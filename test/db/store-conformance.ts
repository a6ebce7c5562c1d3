import { PanalError } from '@panal/protocol';
import type { Store } from '@panal/db';
import { expect } from 'chai';
import { describeCallBytes } from './store-conformance-bytes.js';
import { describeCallListing } from './store-conformance-listing.js';
import { describeCallKeys } from './store-conformance-keys.js';
import { describeFunctions } from './store-conformance-functions.js';
import { describeLongParts } from './store-conformance-parts.js';
import { describeRetention } from './store-conformance-retention.js';
import { describeUsers } from './store-conformance-users.js';
import { aCall, aRuntime, EVERY_BYTE, plain, settled } from './samples.js';

/** The store of the running test, open; and the same after a close and an open, as after a restart. */
export interface Subject {
  readonly store: Store;
  reopen(): Promise<Store>;
}

/**
 * What every store must do. `makeStore` gives a store that is not open: of the same content each time within one
 * test, of none in the next test.
 */
export function describeStore(name: string, makeStore: () => Store): void {
  describe(`${name} as a store`, () => {
    let store: Store;
    const subject: Subject = {
      get store() {
        return store;
      },
      async reopen() {
        await store.close();
        store = makeStore();
        await store.open();
        return store;
      },
    };
    beforeEach(async () => {
      store = makeStore();
      await store.open();
    });
    afterEach(() => store.close());

    describeOpening(subject);
    describeUsers(subject);
    describeRuntimes(subject);
    describeFunctions(subject);
    describeCalls(subject);
    describeCallKeys(subject);
    describeCallListing(subject);
    describeLongParts(subject);
    describeRetention(subject);
    describeCallBytes(subject);
  });
}

/** The code of the `PanalError` that `promise` rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof PanalError) return error.code;
    throw error;
  }
  return undefined;
}

function describeOpening(subject: Subject): void {
  it('opens and closes twice', async () => {
    await subject.store.open();
    await subject.store.close();
    await subject.store.close();
    await subject.store.open();
    expect(await subject.store.calls.lastCallNum()).to.equal(0);
  });

  it('writes what is under way before it closes', async () => {
    const { store } = subject;
    const writes = [1, 2, 3].map((callNum) => store.calls.acceptCall(aCall(callNum)));
    await store.close();
    await Promise.all(writes);
    await store.open();
    expect(await store.calls.lastCallNum()).to.equal(3);
  });

  it('is unavailable while it is closed', async () => {
    const { store } = subject;
    await store.close();
    expect(await codeOf(store.calls.acceptCall(aCall(1)))).to.equal('STORE_UNAVAILABLE');
    expect(await codeOf(store.calls.getCall('ada', 1))).to.equal('STORE_UNAVAILABLE');
    expect(await codeOf(store.functions.listFunctions({ owner: 'ada', limit: 1 }))).to.equal(
      'STORE_UNAVAILABLE',
    );
  });
}

function describeRuntimes(subject: Subject): void {
  it('keeps a runtime until it is deleted', async () => {
    const runtime = aRuntime('python', { handler: 'python3 serve.py', dependencies: 'pip install' });
    await subject.store.functions.putRuntime(runtime);
    await subject.reopen();
    expect(await subject.store.functions.getRuntime('ada', 'python')).to.deep.equal(runtime);
    await subject.store.functions.deleteRuntime('ada', 'python');
    expect(await subject.store.functions.getRuntime('ada', 'python')).to.equal(undefined);
  });

  it('replaces a runtime', async () => {
    await subject.store.functions.putRuntime(aRuntime('python', { handler: 'python3 serve.py' }));
    await subject.store.functions.putRuntime(aRuntime('python'));
    expect(await subject.store.functions.getRuntime('ada', 'python')).to.deep.equal(aRuntime('python'));
  });

  it('lists the runtimes of one owner', async () => {
    for (const name of ['node', 'deno', 'python']) await subject.store.functions.putRuntime(aRuntime(name));
    await subject.store.functions.putRuntime(aRuntime('ruby', { owner: 'ad' }));
    expect(await subject.store.functions.listRuntimes({ owner: 'ada', limit: 9 })).to.deep.equal([
      'deno',
      'node',
      'python',
    ]);
  });
}

function describeCalls(subject: Subject): void {
  it('keeps an accepted call to the byte', async () => {
    const call = aCall(1, { input: 'raw', params: EVERY_BYTE, notBefore: 7 });
    await subject.store.calls.acceptCall(call);
    await subject.reopen();
    expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(call);
  });

  it('keeps all that is known of a settled call', async () => {
    const call = aCall(1);
    const end = settled(call, {
      status: 'FAILED',
      attempts: 2,
      params: EVERY_BYTE,
      result: new Uint8Array(0),
      logs: EVERY_BYTE,
      exitCode: 3,
      error: { code: 'FUNCTION_FAILED', message: 'exit code 3 🐝' },
      worker: 'w1',
      start: 'hot',
      preloaded: true,
      timings: { queued: 0.5, prepare: 1.25, run: 2, total: 3.75 },
    });
    await subject.store.calls.acceptCall(call);
    await subject.store.calls.settleCall(end);
    await subject.reopen();
    expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(end);
  });

  it('knows no call of another owner', async () => {
    await subject.store.calls.acceptCall(aCall(1));
    expect(await subject.store.calls.getCall('eve', 1)).to.equal(undefined);
    expect(await subject.store.calls.getCall('ada', 2)).to.equal(undefined);
  });

  it('settles a call whose acceptance is still being written', async () => {
    const call = aCall(1);
    await Promise.all([
      subject.store.calls.acceptCall(call, { lazy: true }),
      subject.store.calls.settleCall(settled(call)),
    ]);
    await subject.reopen();
    expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(settled(call));
    expect(await unsettled(subject.store)).to.deep.equal([]);
  });

  it('settles a call that it does not know', async () => {
    await subject.store.calls.settleCall(settled(aCall(4)));
    expect(await subject.store.calls.lastCallNum()).to.equal(4);
    expect(await subject.store.calls.listCalls({ owner: 'ada', funcName: 'dice', limit: 9 })).to.have.length(
      1,
    );
  });

  it('keeps a change of a call that waits for its next attempt', async () => {
    const changed = aCall(1, { attempts: 1, notBefore: 9000, logs: EVERY_BYTE });
    await subject.store.calls.acceptCall(aCall(1));
    await subject.store.calls.updateCall(changed);
    await subject.reopen();
    expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(changed);
    expect(await unsettled(subject.store)).to.deep.equal([1]);
  });

  it('knows the highest call number, in whichever order the calls came', async () => {
    expect(await subject.store.calls.lastCallNum()).to.equal(0);
    await Promise.all([7, 12, 3].map((callNum) => subject.store.calls.acceptCall(aCall(callNum))));
    expect(await subject.store.calls.lastCallNum()).to.equal(12);
    await subject.reopen();
    await subject.store.calls.settleCall(settled(aCall(3)));
    expect(await subject.store.calls.lastCallNum()).to.equal(12);
  });

  it('keeps numbers reserved, and takes back what is given back', async () => {
    await subject.store.calls.takeCallNums(1000);
    await subject.store.calls.acceptCall(aCall(12));
    await subject.reopen();
    expect(await subject.store.calls.lastCallNum()).to.equal(1000);
    await subject.store.calls.giveBackCallNums({ after: 12, through: 1000 });
    await subject.reopen();
    expect(await subject.store.calls.lastCallNum()).to.equal(12);
  });

  it('hands out the unsettled calls of all owners, oldest first', async () => {
    for (const callNum of [5, 300, 41, 2]) {
      await subject.store.calls.acceptCall(aCall(callNum, { owner: callNum % 2 ? 'zoe' : 'ada' }));
    }
    await subject.store.calls.settleCall(settled(aCall(41, { owner: 'zoe' })));
    await subject.reopen();
    expect(await unsettled(subject.store)).to.deep.equal([2, 5, 300]);
  });

  it('hands out more unsettled calls than it reads at once', async () => {
    const numbers = Array.from({ length: 2500 }, (_, index) => index + 1);
    await Promise.all(numbers.map((callNum) => subject.store.calls.acceptCall(aCall(callNum))));
    expect(await unsettled(subject.store)).to.deep.equal(numbers);
  });

  it('keeps a running call as one that waits', async () => {
    await subject.store.calls.acceptCall(aCall(1));
    await subject.store.calls.updateCall(aCall(1, { status: 'RUNNING', attempts: 1 }));
    expect(plain(await subject.store.calls.getCall('ada', 1))).to.deep.equal(aCall(1, { attempts: 1 }));
    expect(await unsettled(subject.store)).to.deep.equal([1]);
  });

  it('refuses a call in a status that does not fit', async () => {
    const fails = async (write: Promise<void>): Promise<void> => {
      const error: unknown = await write.catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(TypeError);
    };
    await fails(subject.store.calls.acceptCall(aCall(1, { status: 'DONE' })));
    await fails(subject.store.calls.updateCall(aCall(1, { status: 'DEAD' })));
    await fails(subject.store.calls.settleCall(aCall(1)));
    await fails(subject.store.calls.settleCall(aCall(1, { status: 'RUNNING' })));
    expect(await subject.store.calls.getCall('ada', 1)).to.equal(undefined);
  });
}

async function unsettled(store: Store): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { callNum } of store.calls.unsettledCalls()) numbers.push(callNum);
  return numbers;
}
