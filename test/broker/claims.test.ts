import { expect } from 'chai';
import { parseLease } from '../../broker/src/scheduling/attempt.js';
import { LiveBroker } from '../support/live-broker.js';
import { temporaryFolder } from '../support/folder.js';
import { eventually } from '../../testkit/wait.js';

describe('A lease that comes back to the broker', () => {
  const folder = temporaryFolder();
  let broker: LiveBroker;

  beforeEach(async () => {
    broker = await LiveBroker.start(folder(), { FAAS_HEARTBEAT_MS: '5000' });
  });
  afterEach(() => broker.stop());

  it('names when its call was accepted', async () => {
    await broker.register('dice');
    const worker = await broker.scripted();
    await broker.invoke('dice');
    const { lease } = await worker.nextInvoke();
    const { acceptedAt } = await broker.call(1);
    expect(parseLease(lease, 'another')).to.include({
      callNum: 1,
      attempt: 1,
      acceptedAt: Date.parse(String(acceptedAt)),
    });
    expect(parseLease('7.1.b0', 'b0')).to.equal(undefined);
  });

  it('does not take another call, which got the number of one that was never stored', async () => {
    await broker.register('dice');
    const worker = await broker.scripted();
    await broker.invoke('dice', 'first');
    const first = await worker.nextInvoke();
    const waiting = await broker.invoke('dice', 'second');
    // What a broker gave out that died before it stored its second call.
    const lost = { ...first, callNum: waiting, lease: `${waiting}.1.${Date.now() - 60_000}.another-broker` };
    await worker.join({ slots: 1, leases: [first.lease, lost.lease] });
    expect(await worker.hears('cancel')).to.include({ lease: lost.lease });
    await worker.reply(lost, {}, 'the result of another call');
    await worker.reply(first, {}, 'one');
    worker.say({ type: 'ready', slot: 0 });
    const second = await worker.nextInvoke();
    expect(second).to.include({ callNum: waiting, text: '"second"' });
    await worker.reply(second, {}, 'two');
    await eventually('both have ended', async () => (await broker.call(waiting)).status === 'DONE');
    expect((await broker.call(first.callNum)).result).to.equal('one');
    expect((await broker.call(waiting)).result).to.equal('two');
  });

  it('counts when its outcome comes ahead of its worker, as long as no later attempt began', async () => {
    await broker.register('dice');
    const worker = await broker.scripted();
    const callNum = await broker.invoke('dice');
    const invoke = await worker.nextInvoke();
    worker.say({ type: 'bye' });
    await eventually('the call waits', async () => (await broker.call(callNum)).status === 'PENDING');
    await worker.reply(invoke, {}, 'seven');
    await eventually('it has ended', async () => (await broker.call(callNum)).status === 'DONE');
    expect(await broker.call(callNum)).to.include({ result: 'seven', attempts: 1 });
  });
});
