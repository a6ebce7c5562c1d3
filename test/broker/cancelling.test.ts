import { join } from 'node:path';
import { expect } from 'chai';
import { LevelStore } from '@panal/db';
import { aCall } from '../db/samples.js';
import { LiveBroker } from '../support/live-broker.js';
import { temporaryFolder } from '../support/folder.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

describe('A call whose owner was told that it is being stopped', () => {
  const folder = temporaryFolder();
  const dice = versionOf(runtimeSpec('dice'));
  const { id: functionId, owner } = dice.spec;
  let broker: LiveBroker;

  beforeEach(async () => {
    const store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    const times = { createdAt: 1, updatedAt: 1 };
    await store.functions.putFunction(
      { owner, name: 'dice', activeVersion: 1, latestVersion: 1, ...times },
      dice,
    );
    await store.calls.acceptCall(aCall(1, { owner, functionId }));
    // What a broker writes before it says so.
    await store.calls.updateCall(aCall(1, { owner, functionId, attempts: 1, cancelling: true }));
    await store.close();
    broker = await LiveBroker.start(folder(), { FAAS_HEARTBEAT_MS: '50' });
  });
  afterEach(() => broker.stop());

  it('is stopped also where the broker dies before that', async () => {
    const worker = await broker.scripted();
    await eventually('it has ended', async () => (await broker.call(1)).status === 'CANCELLED');
    expect(await broker.call(1)).to.deep.include({
      attempts: 1,
      error: { code: 'CANCELLED', message: 'cancelled before it ran' },
    });
    expect(worker.invokes).to.deep.equal([]);
  });
});
