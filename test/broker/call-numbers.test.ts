import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelStore, type CallStore } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { expect } from 'chai';
import { CallNumbers } from '../../broker/src/calls/call-numbers.js';
import { temporaryFolder } from '../support/folder.js';

describe('Call numbers', () => {
  const folder = temporaryFolder();
  let store: LevelStore;

  beforeEach(async () => {
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
  });
  afterEach(() => store.close());

  async function numbersOf(from: Pick<CallStore, 'takeCallNums' | 'giveBackCallNums'>): Promise<CallNumbers> {
    const numbers = new CallNumbers(from);
    await numbers.open();
    return numbers;
  }

  async function take(numbers: CallNumbers, count: number): Promise<number[]> {
    const taken: number[] = [];
    while (taken.length < count) {
      while (numbers.empty) await numbers.fill();
      taken.push(numbers.take());
    }
    return taken;
  }

  it('go up one by one, past every block', async () => {
    const taken = await take(await numbersOf(store.calls), 5000);
    expect(taken).to.deep.equal(Array.from({ length: 5000 }, (_, index) => index + 1));
  });

  it('go on after an orderly stop where they were', async () => {
    const numbers = await numbersOf(store.calls);
    await take(numbers, 3);
    await numbers.close();
    await store.close();
    await store.open();
    expect(await take(await numbersOf(store.calls), 2)).to.deep.equal([4, 5]);
  });

  it('leave out after a crash what the broker may have given out', async () => {
    const numbers = await numbersOf(store.calls);
    await take(numbers, 1300);
    // As a process that is killed leaves it.
    await cp(join(folder(), 'store'), join(folder(), 'crashed'), { recursive: true });
    const crashed = new LevelStore(join(folder(), 'crashed'), { durability: 'os' });
    await crashed.open();
    try {
      const [next = 0] = await take(await numbersOf(crashed.calls), 1);
      expect(next).to.be.within(1301, 1300 + 2000);
    } finally {
      await crashed.close();
    }
    await numbers.close();
  });

  it('are given to all who wait for the same block, each to one', async () => {
    const numbers = await numbersOf(store.calls);
    const taken = await Promise.all(Array.from({ length: 3000 }, () => take(numbers, 1)));
    expect(new Set(taken.flat()).size).to.equal(3000);
  });

  it('are not given out while they cannot be reserved', async () => {
    let broken = true;
    const numbers = await numbersOf({
      giveBackCallNums: (block) => store.calls.giveBackCallNums(block),
      takeCallNums: async (count) => {
        if (broken) throw new PanalError('STORE_UNAVAILABLE', 'the store cannot write');
        return await store.calls.takeCallNums(count);
      },
    });
    const failure: unknown = await take(numbers, 1).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(PanalError).with.property('code', 'STORE_UNAVAILABLE');
    broken = false;
    expect(await take(numbers, 1)).to.deep.equal([1]);
  });

  it('are taken by several brokers of one store, each to one', async () => {
    const brokers = [
      await numbersOf(store.calls),
      await numbersOf(store.calls),
      await numbersOf(store.calls),
    ];
    const taken = await Promise.all(brokers.map((numbers) => take(numbers, 1700)));
    expect(new Set(taken.flat()).size).to.equal(3 * 1700);
    for (const own of taken) expect(own).to.deep.equal([...own].sort((a, b) => a - b));
    // Only what others have not gone past can be given back.
    await Promise.all(brokers.map((numbers) => numbers.close()));
    const [next = 0] = await take(await numbersOf(store.calls), 1);
    expect(next).to.be.above(Math.max(...taken.flat()));
  });
});
