import { expect } from 'chai';
import type { Worker } from '../../worker/src/execution/worker.js';
import { FakeDriver } from '../support/fake-sandbox.js';
import { quietWorker } from '../support/quiet-worker.js';
import { Gate } from '../support/gate.js';
import { ScriptedBroker } from '../support/scripted-broker.js';
import { runtimeSpec } from '../support/specs.js';
import { brokerAt } from '../support/transport.js';
import { eventually } from '../../testkit/wait.js';

const dice = runtimeSpec('dice');

describe('a worker of two brokers', () => {
  let brokers: [ScriptedBroker, ScriptedBroker];
  let driver: FakeDriver;
  let worker: Worker;

  beforeEach(async () => {
    brokers = [await ScriptedBroker.open(), await ScriptedBroker.open({ terms: { broker: 'broker-2' } })];
    driver = new FakeDriver();
    worker = await quietWorker(
      driver,
      brokers.map(({ ports }) => brokerAt(ports.dispatchPort)),
      { slots: 1 },
    );
    worker.start();
    for (const broker of brokers) await broker.ready(1);
  });

  afterEach(async () => {
    await worker.stop(0);
    for (const broker of brokers) await broker.close();
  });

  it('offers its mini-workers to both, and hands each its own outcomes', async () => {
    const [east, west] = brokers;
    east.invoke(1, 0, dice, '"east"');
    west.invoke(2, 0, dice, '"west"');
    expect((await east.outcomeOf(1)).result).to.equal('"east"');
    expect((await west.outcomeOf(2)).result).to.equal('"west"');
    expect(east.outcomes.map(({ callNum }) => callNum)).to.deep.equal([1]);
    expect(west.outcomes.map(({ callNum }) => callNum)).to.deep.equal([2]);
  });

  it('tells each of the attempts that are its own', async () => {
    const [east, west] = brokers;
    const gate = new Gate();
    driver.next('run', async () => gate.pass());
    east.invoke(1, 0, dice, '1');
    await eventually('it runs', () => gate.arrivals === 1);
    for (const broker of brokers) {
      broker.heard.length = 0;
      broker.say({ type: 'who' });
      await eventually('a hello', () => broker.hellos.length > 0);
    }
    expect(east.hellos[0]?.leases).to.deep.equal(['lease 1']);
    expect(west.hellos[0]?.leases).to.deep.equal([]);
    gate.open();
    await east.outcomeOf(1);
  });

  it('hands back a call of one while the other keeps it busy, and offers again when it is idle', async () => {
    const [east, west] = brokers;
    const gate = new Gate();
    driver.next('run', async () => gate.pass());
    east.invoke(1, 0, dice, '1');
    await eventually('it runs', () => gate.arrivals === 1);
    west.invoke(2, 0, dice, '2');
    expect(await west.outcomeOf(2)).to.include({ returned: true });
    const offers = west.readySlots.length;
    gate.open();
    await east.outcomeOf(1);
    await eventually('the other is offered it', () => west.readySlots.length > offers);
    west.invoke(3, 0, dice, '3');
    expect((await west.outcomeOf(3)).status).to.equal('DONE');
  });

  it('serves one while the other is away, and joins the other again', async () => {
    const [east, west] = brokers;
    west.acknowledges = false;
    west.invoke(1, 0, dice, '1');
    await west.outcomeOf(1);
    await west.close();
    east.invoke(2, 0, dice, '2');
    expect((await east.outcomeOf(2)).status).to.equal('DONE');
    const successor = await eventually('the port is free', () =>
      ScriptedBroker.open({ ...west.ports, terms: { broker: 'broker-3' } }).catch(() => undefined),
    );
    brokers[1] = successor;
    expect((await successor.outcomeOf(1)).result).to.equal('1');
    expect(successor.hellos.at(-1)?.leases).to.deep.equal(['lease 1']);
    expect(east.deliveries.has('lease 1')).to.equal(false);
  });
});
