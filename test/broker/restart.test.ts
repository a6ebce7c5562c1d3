import { join } from 'node:path';
import { expect } from 'chai';
import { LevelStore } from '@panal/db';
import { aCall } from '../db/samples.js';
import { LiveBroker } from '../support/live-broker.js';
import { temporaryFolder } from '../support/folder.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../support/wait.js';

const PENDING = 100_000;
const SETTLED = 1000;
/** Written at once when the store is filled. */
const PAGE = 5000;

/** How soon a broker must serve, in ms, whatever it has to take up. */
const SOON_MS = 5000;

describe('A broker that starts with 100,000 calls to take up', () => {
  const folder = temporaryFolder();
  const dice = versionOf(runtimeSpec('dice'));
  const { id: functionId, owner } = dice.spec;

  beforeEach(async () => {
    const store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    const times = { createdAt: 1, updatedAt: 1 };
    await store.putFunction({ owner, name: 'dice', activeVersion: 1, latestVersion: 1, ...times }, dice);
    for (let first = 1; first <= PENDING + SETTLED; first += PAGE) {
      const numbers = Array.from({ length: PAGE }, (_, index) => first + index);
      await Promise.all(
        numbers
          .filter((callNum) => callNum <= PENDING + SETTLED)
          .map(async (callNum) => {
            const call = aCall(callNum, { owner, functionId });
            // The oldest ones have ended.
            if (callNum > SETTLED) await store.acceptCall(call);
            else await store.settleCall({ ...call, status: 'DONE', attempts: 1, settledAt: 2000 });
          }),
      );
    }
    await store.close();
  });

  it('serves within five seconds, and runs what had not ended, and nothing else', async () => {
    const begun = performance.now();
    const broker = await LiveBroker.start(folder(), { FAAS_HEARTBEAT_MS: '100', FAAS_CALLS_KEEP_S: '0' });
    try {
      const started = performance.now() - begun;
      const callNum = await broker.invoke('dice', 'new');
      const accepted = performance.now() - begun;
      expect(accepted, `started after ${started} ms`).to.be.below(SOON_MS);
      expect(callNum).to.equal(PENDING + SETTLED + 1);

      const worker = await broker.scripted(4);
      const seen = new Set<number>();
      worker.onInvoke = (invoke) => {
        seen.add(invoke.callNum);
        void worker.reply(invoke, invoke.slot === undefined ? {} : { free: invoke.slot });
      };
      await eventually('the oldest calls run', () => seen.has(SETTLED + 1) && seen.size > 100, 30_000);
      expect(Math.min(...seen.values())).to.be.greaterThan(SETTLED);
      const asked = performance.now();
      expect(await broker.call(1)).to.include({ status: 'DONE', settledAt: '1970-01-01T00:00:02.000Z' });
      expect(performance.now() - asked, 'it answers while it takes them up').to.be.below(1000);
    } finally {
      await broker.stop();
    }
  });
});
