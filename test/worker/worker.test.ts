import { expect } from 'chai';
import { MOST_AHEAD } from '@panal/transport';
import { FunctionError, PlatformError, Unprepared } from '../../worker/src/errors.js';
import { echo } from '../support/fake-sandbox.js';
import { Gate } from '../support/gate.js';
import { runtimeSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';
import { pairs } from './harness.js';

const dice = runtimeSpec('dice');
const cut = new PlatformError('SANDBOX_FAILED', 'the sandbox would not start');

describe('a worker', () => {
  const start = pairs();

  it('says hello and offers each of its mini-workers once it is welcome', async () => {
    const { broker } = await start({ worker: { slots: 3 } });
    await broker.ready(3);
    expect(broker.hellos[0]).to.include({ worker: 'worker-1', slots: 3, sandbox: 'process', path: 'direct' });
    expect(broker.hellos[0]?.capabilities).to.have.members(['command', 'handler', 'prepare']);
    expect(broker.readySlots).to.deep.equal([0, 1, 2]);
  });

  it('runs a call and offers the mini-worker again, with what it holds', async () => {
    const { broker } = await start();
    await broker.ready(2);
    broker.invoke(1, 1, dice, '{"roll":"4d6"}');
    const outcome = await broker.outcomeOf(1);
    expect(outcome).to.deep.include({
      lease: 'lease 1',
      worker: 'worker-1',
      status: 'DONE',
      platform: false,
      exitCode: 0,
      start: 'warm',
      preloaded: false,
      result: '{"roll":"4d6"}',
      free: 1,
      kept: true,
    });
  });

  it('uses a kept sandbox for the next call, and knows the function by its id', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await broker.outcomeOf(1);
    broker.invoke(2, 0, dice, '2', true);
    expect((await broker.outcomeOf(2)).result).to.equal('2');
    expect(driver.counts).to.deep.include({ prepare: 1, start: 1, run: 2 });
  });

  it('runs as many calls at once as it has mini-workers', async () => {
    const { broker, driver } = await start();
    const gate = new Gate();
    for (let run = 0; run < 2; run++) driver.next('run', async () => gate.pass());
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    broker.invoke(2, 1, dice, '2');
    await eventually('both run', () => gate.arrivals === 2);
    gate.open();
    await broker.outcomeOf(1);
    await broker.outcomeOf(2);
    expect(driver.mostInOne).to.equal(1);
  });

  it('gives a call whose mini-worker is busy to another that is idle', async () => {
    const { broker, driver } = await start();
    const gate = new Gate();
    driver.next('run', async () => gate.pass());
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await eventually('the first runs', () => gate.arrivals === 1);
    broker.invoke(2, 0, dice, '2');
    expect(await broker.outcomeOf(2)).to.include({ status: 'DONE', free: 1 });
    gate.open();
    expect(await broker.outcomeOf(1)).to.include({ status: 'DONE', free: 0 });
    expect(driver.mostInOne).to.equal(1);
  });

  it('leaves an idle mini-worker alone that is spared for others, though a call waits', async () => {
    const { broker, driver, worker } = await start();
    const gate = new Gate();
    driver.next('run', async () => gate.pass());
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await eventually('the first runs', () => gate.arrivals === 1);
    broker.invoke(2, undefined, dice, '2', true, 1);
    await eventually('it has the second', () => worker.hello().leases.length === 2);
    expect(worker.census()).to.include({ idle: 1 });
    gate.open();
    expect(await broker.outcomeOf(1)).to.not.have.property('free');
    expect(await broker.outcomeOf(2)).to.include({ status: 'DONE', free: 0 });
    // Where nothing runs behind which it could wait, it begins at once.
    broker.invoke(3, undefined, dice, '3', true, 1);
    expect(await broker.outcomeOf(3)).to.include({ status: 'DONE' });
  });

  describe('all of whose mini-workers are busy', () => {
    /** A worker whose two mini-workers run the calls 1 and 2 until the gate opens, and which has 3 and 4 ahead. */
    async function busy(): Promise<Awaited<ReturnType<typeof start>> & { gate: Gate }> {
      const pair = await start();
      const gate = new Gate();
      for (let run = 0; run < 2; run++) pair.driver.next('run', async () => gate.pass());
      await pair.broker.ready(2);
      for (const slot of [0, 1]) pair.broker.invoke(slot + 1, slot, dice, String(slot + 1));
      await eventually('both run', () => gate.arrivals === 2);
      for (const callNum of [3, 4]) pair.broker.invoke(callNum, undefined, dice, String(callNum), true);
      await eventually('it has them', () => pair.worker.hello().leases.length === 4);
      return { ...pair, gate };
    }

    it('has what is handed to it ahead wait for the next free one, and offers that only afterwards', async () => {
      const { broker, driver, gate } = await busy();
      gate.open();
      const outcomes = await Promise.all([1, 2, 3, 4].map((callNum) => broker.outcomeOf(callNum)));
      expect(outcomes.map(({ status }) => status)).to.deep.equal(['DONE', 'DONE', 'DONE', 'DONE']);
      expect(outcomes.map(({ result }) => result)).to.deep.equal(['1', '2', '3', '4']);
      expect(outcomes.slice(0, 2).map(({ free }) => free)).to.deep.equal([undefined, undefined]);
      expect(outcomes.slice(2).map(({ free }) => free)).to.have.members([0, 1]);
      expect(driver.mostInOne).to.equal(1);
      expect(driver.counts.start).to.equal(2);
    });

    it('hands back what is more than it can take', async () => {
      const { broker, gate } = await busy();
      // Two mini-workers, of whom each may have so many that wait; two do already.
      const last = 2 + 2 * MOST_AHEAD;
      for (let callNum = 5; callNum <= last + 1; callNum++) broker.invoke(callNum, 0, dice, '5', true);
      expect(await broker.outcomeOf(last + 1)).to.include({ status: 'FAILED', platform: true });
      gate.open();
      expect(await broker.outcomeOf(last)).to.include({ status: 'DONE' });
    });

    it('hands back what has waited for long, to begin elsewhere', async () => {
      const { broker, driver, gate } = await busy();
      for (const callNum of [3, 4]) {
        const outcome = await broker.outcomeOf(callNum);
        expect(outcome).to.include({ status: 'FAILED', platform: true, returned: true });
        expect(outcome.prepareMs).to.be.at.least(100);
      }
      gate.open();
      await Promise.all([1, 2].map((callNum) => broker.outcomeOf(callNum)));
      expect(driver.counts.run).to.equal(2);
    });

    it('cancels a call that waits here, which never runs', async () => {
      const { broker, driver, gate } = await busy();
      broker.say({ type: 'cancel', lease: 'lease 3' });
      expect(await broker.outcomeOf(3)).to.include({ status: 'CANCELLED', platform: false });
      gate.open();
      await Promise.all([1, 2, 4].map((callNum) => broker.outcomeOf(callNum)));
      expect(driver.counts.run).to.equal(3);
    });

    it('tells a broker that does not know it also of what waits here', async () => {
      const { broker, gate } = await busy();
      broker.say({ type: 'who' });
      await eventually('it greets again', () => broker.hellos.length === 2);
      expect(broker.hellos[1]?.leases).to.have.members(['lease 1', 'lease 2', 'lease 3', 'lease 4']);
      gate.open();
      await Promise.all([1, 2, 3, 4].map((callNum) => broker.outcomeOf(callNum)));
      await broker.ready(4);
    });

    it('ends also what waits here when it is asked to stop', async () => {
      const { broker, worker, gate } = await busy();
      const stopped = worker.stop(10_000);
      gate.open();
      await stopped;
      expect(broker.outcomes.map(({ callNum }) => callNum)).to.have.members([1, 2, 3, 4]);
    });

    it('hands back what still waits here when its time to stop is over', async () => {
      const { broker, worker, gate } = await busy();
      const stopped = worker.stop(1);
      expect(await broker.outcomeOf(3)).to.include({ status: 'FAILED', platform: true });
      expect(await broker.outcomeOf(4)).to.include({ status: 'FAILED', platform: true });
      gate.open();
      await stopped;
    });

    it('reports the logs of a call that was followed while it waited', async () => {
      const { broker, driver, gate } = await busy();
      driver.onRun = (request) => {
        request.onLog?.(Buffer.from(`log ${request.callNum}`));
        return echo(request);
      };
      broker.say({ type: 'follow', lease: 'lease 3', on: true }, { type: 'cancel', lease: 'lease 4' });
      await broker.outcomeOf(4);
      gate.open();
      await eventually('its logs come', () => broker.logs.some(({ text }) => text === 'log 3'));
      await broker.outcomeOf(3);
      expect(broker.logs.map(({ text }) => text).join('')).to.equal('log 3');
    });
  });

  it('prepares a function once for calls that come at the same moment', async () => {
    const { broker, driver } = await start({ worker: { slots: 10 } });
    const gate = new Gate();
    driver.next('prepare', async () => gate.pass());
    await broker.ready(10);
    for (let call = 1; call <= 10; call++) broker.invoke(call, call - 1, dice, String(call));
    await eventually('it prepares', () => gate.arrivals === 1);
    gate.open();
    for (let call = 1; call <= 10; call++) await broker.outcomeOf(call);
    expect(driver.counts.prepare).to.equal(1);
  });

  it('removes the sandbox of a fresh call, and of one that cannot be used again', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    broker.invoke(1, 0, runtimeSpec('once', { lifecycle: 'fresh' }), '1');
    expect((await broker.outcomeOf(1)).start).to.equal('fresh');
    driver.onRun = (request) => ({ ...echo(request), reusable: false });
    broker.invoke(2, 1, dice, '2');
    await broker.outcomeOf(2);
    await eventually('both are removed', () => driver.sandboxes.every(({ removed }) => removed));
    expect(driver.sandboxes).to.have.length(2);
  });

  it('prepares a function anew whose image or code has been removed, within the call', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    driver.fail('start', new Unprepared('the image is gone'));
    broker.invoke(1, 0, dice, '1');
    expect(await broker.outcomeOf(1)).to.include({ status: 'DONE' });
    expect(driver.counts).to.include({ prepare: 2, start: 2 });
    for (let time = 0; time < 2; time++) driver.fail('start', new Unprepared('the image is gone'));
    broker.invoke(2, 1, runtimeSpec('other'), '2');
    expect(await broker.outcomeOf(2)).to.include({ status: 'FAILED', platform: true });
  });

  it('tells the faults of the platform from those of the function', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    driver.fail('start', cut);
    broker.invoke(1, 0, dice, '1');
    expect(await broker.outcomeOf(1)).to.deep.include({
      status: 'FAILED',
      platform: true,
      error: { code: 'SANDBOX_FAILED', message: 'the sandbox would not start' },
    });
    driver.fail('prepare', new FunctionError('DEPENDENCIES_FAILED', 'pip failed', Buffer.from('no such'), 1));
    broker.invoke(2, 1, dice, '2');
    expect(await broker.outcomeOf(2)).to.deep.include({
      status: 'FAILED',
      platform: false,
      exitCode: 1,
      error: { code: 'DEPENDENCIES_FAILED', message: 'pip failed' },
      logs: 'no such',
    });
  });

  it('ends a call whose driver breaks as a platform failure, and lives on', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    driver.fail('run', new RangeError('a bug'));
    broker.invoke(1, 0, dice, '1');
    const outcome = await broker.outcomeOf(1);
    expect(outcome).to.include({ status: 'FAILED', platform: true });
    expect(outcome.error?.code).to.equal('INTERNAL');
    expect(outcome.error?.message).not.to.contain('a bug');
    broker.invoke(2, 0, dice, '2', true);
    expect((await broker.outcomeOf(2)).status).to.equal('DONE');
  });

  it('tries a new sandbox when a kept one turns out to be dead', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await broker.outcomeOf(1);
    driver.fail('run', cut);
    broker.invoke(2, 0, dice, '2', true);
    expect((await broker.outcomeOf(2)).status).to.equal('DONE');
    expect(driver.sandboxes.map(({ removed }) => removed)).to.deep.equal([true, false]);
  });

  it('does not offer a sandbox that died while it stood idle', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await broker.ready(3);
    driver.sandboxes[0]?.die();
    await eventually('the broker hears of it', () =>
      broker.heard.some((message) => message.type === 'holds' && message.idle === 0),
    );
    broker.invoke(2, 0, dice, '2', true);
    await broker.outcomeOf(2);
    expect(driver.counts.start).to.equal(2);
  });

  for (const step of ['prepare', 'start', 'run'] as const) {
    it(`cancels a call in its ${step} step`, async () => {
      const { broker, driver } = await start();
      const gate = new Gate();
      driver.next(step, async (signal) => gate.pass(signal));
      await broker.ready(2);
      broker.invoke(1, 0, dice, '1');
      await eventually(`it is in ${step}`, () => gate.arrivals === 1);
      broker.say({ type: 'cancel', lease: 'lease 1' }, { type: 'cancel', lease: 'lease 9' });
      expect(await broker.outcomeOf(1)).to.include({ status: 'CANCELLED', platform: false });
      gate.open();
      broker.invoke(2, 0, dice, '2', true);
      expect((await broker.outcomeOf(2)).status).to.equal('DONE');
    });
  }

  it('removes what it keeps of a function that is retired, and runs it again when asked', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await broker.ready(3);
    broker.say({ type: 'retire', functionIds: [dice.id] });
    await eventually('it is removed', () => driver.sandboxes[0]?.removed);
    broker.invoke(2, 0, dice, '2');
    await broker.outcomeOf(2);
    expect(driver.counts).to.deep.include({ prepare: 2, start: 2 });
  });

  it('tells of the logs of a followed call: what there was, then each piece, and again when asked', async () => {
    const { broker, driver } = await start();
    const [more, end] = [new Gate(), new Gate()];
    driver.onRun = async (request) => {
      for (const text of ['a', 'b']) request.onLog?.(Buffer.from(text));
      await more.pass();
      request.onLog?.(Buffer.from('c'));
      await end.pass();
      return echo(request);
    };
    const heard = () => broker.logs.map(({ callNum, offset, text }) => [callNum, offset, text]);
    const follow = (on: boolean): void => broker.say({ type: 'follow', lease: 'lease 1', on });
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await eventually('it runs', () => more.arrivals === 1);
    expect(heard()).to.deep.equal([]);
    follow(true);
    await eventually('what there was comes', () => heard().length === 1);
    more.open();
    await eventually('the next piece comes', () => heard().length === 2);
    follow(true);
    await eventually('all comes again', () => heard().length === 3);
    expect(heard()).to.deep.equal([
      [1, 0, 'ab'],
      [1, 2, 'c'],
      [1, 0, 'abc'],
    ]);
    follow(false);
    broker.say({ type: 'follow', lease: 'lease 9', on: true });
    end.open();
    expect((await broker.outcomeOf(1)).status).to.equal('DONE');
    expect(heard()).to.have.length(3);
  });

  it('hands back a call of a function that it was not told of', async () => {
    const { broker } = await start();
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1', true);
    expect(await broker.outcomeOf(1)).to.include({ status: 'FAILED', platform: true });
  });
});

describe('a worker that stops', () => {
  const start = pairs();

  it('takes nothing more, lets what runs end, and leaves after the last ack', async () => {
    const { broker, driver, worker } = await start();
    const gate = new Gate();
    driver.next('run', async () => gate.pass());
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await eventually('it runs', () => gate.arrivals === 1);
    const stopped = worker.stop(10_000);
    await eventually('it drains', () => broker.heard.some(({ type }) => type === 'drain'));
    broker.invoke(2, 1, dice, '2', true);
    expect(await broker.outcomeOf(2)).to.include({ status: 'FAILED', platform: true });
    gate.open();
    await stopped;
    expect((await broker.outcomeOf(1)).status).to.equal('DONE');
    await eventually('it says bye', () => broker.heard.at(-1)?.type === 'bye');
    expect(broker.readySlots).to.deep.equal([0, 1]);
    expect(driver.sandboxes.every(({ removed }) => removed)).to.equal(true);
  });

  it('hands back what does not end in time', async () => {
    const { broker, driver, worker } = await start();
    const gate = new Gate();
    driver.next('run', async (signal) => gate.pass(signal));
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await eventually('it runs', () => gate.arrivals === 1);
    await worker.stop(0);
    expect(await broker.outcomeOf(1)).to.deep.include({
      status: 'FAILED',
      platform: true,
      error: { code: 'WORKER_LOST', message: 'worker stopped' },
    });
  });
});
