import { join } from 'node:path';
import { expect } from 'chai';
import { LevelStore } from '@panal/db';
import { aCall } from '../db/samples.js';
import { LiveBroker } from '../support/live-broker.js';
import { temporaryFolder } from '../support/folder.js';
import { processorMs } from '../support/processor-time.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

const PENDING = 100_000;
const SETTLED = 1000;
/** Written at once when the store is filled. */
const PAGE = 5000;

describe('A broker that starts with 100,000 calls to take up', () => {
  const folder = temporaryFolder();
  const dice = versionOf(runtimeSpec('dice'));
  const { id: functionId, owner } = dice.spec;

  /** Processor time that it takes to fill the store, in ms. */
  let filling: number;

  beforeEach(async () => {
    filling = await processorMs(fill, 1);
  });

  async function fill(): Promise<void> {
    const store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    const times = { createdAt: 1, updatedAt: 1 };
    await store.functions.putFunction(
      { owner, name: 'dice', activeVersion: 1, latestVersion: 1, ...times },
      dice,
    );
    for (let first = 1; first <= PENDING + SETTLED; first += PAGE) {
      const numbers = Array.from({ length: PAGE }, (_, index) => first + index);
      await Promise.all(
        numbers
          .filter((callNum) => callNum <= PENDING + SETTLED)
          .map(async (callNum) => {
            const call = aCall(callNum, { owner, functionId });
            // The oldest ones have ended.
            if (callNum > SETTLED) await store.calls.acceptCall(call);
            else await store.calls.settleCall({ ...call, status: 'DONE', attempts: 1, settledAt: 2000 });
          }),
      );
    }
    await store.close();
  }

  it('serves at about the cost of storing them, and runs what had not ended, and nothing else', async () => {
    const begun = process.cpuUsage();
    const broker = await LiveBroker.start(folder(), { FAAS_HEARTBEAT_MS: '100', FAAS_CALLS_KEEP_S: '0' });
    try {
      const callNum = await broker.invoke('dice', 'new');
      const { user, system } = process.cpuUsage(begun);
      expect((user + system) / 1000).to.be.below(2 * filling);
      expect(callNum).to.equal(PENDING + SETTLED + 1);

      const worker = await broker.scripted(4);
      const seen = new Set<number>();
      worker.onInvoke = (invoke) => {
        seen.add(invoke.callNum);
        void worker.reply(invoke, invoke.slot === undefined ? {} : { free: invoke.slot });
      };
      await eventually('the oldest calls run', () => seen.has(SETTLED + 1) && seen.size > 100, 30_000);
      expect(Math.min(...seen.values())).to.be.greaterThan(SETTLED);
      expect(await broker.call(1)).to.include({ status: 'DONE', settledAt: '1970-01-01T00:00:02.000Z' });
      expect(seen.size, 'it answers before it has run them').to.be.below(PENDING);
    } finally {
      await broker.stop();
    }
  });
});
