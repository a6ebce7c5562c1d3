import { expect } from 'chai';
import { curveKeyPair } from 'zeromq';
import { Gate } from '../support/gate.js';
import { ScriptedBroker } from '../support/scripted-broker.js';
import { runtimeSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';
import { pairs } from './harness.js';

const dice = runtimeSpec('dice');

describe("a worker's link to its broker", () => {
  const start = pairs();

  it('says hello again and again until it is welcome', async () => {
    const { broker } = await start({ broker: { mute: true } });
    await eventually('three hellos', () => broker.hellos.length >= 3);
    expect(broker.readySlots).to.deep.equal([]);
    broker.welcome();
    await broker.ready(2);
  });

  it('counts the first of several welcomes only, so that no mini-worker is offered twice', async () => {
    const { broker } = await start({ broker: { mute: true } });
    await eventually('a hello', () => broker.hellos.length >= 1);
    broker.welcome();
    broker.welcome();
    broker.invoke(1, 0, dice, '1');
    await broker.outcomeOf(1);
    await broker.ready(3);
    // The third offer comes with an outcome, on a channel of its own: it may overtake the second.
    expect([...broker.readySlots].sort()).to.deep.equal([0, 0, 1]);
  });

  it('beats as often as the broker asks', async () => {
    const { broker } = await start({ broker: { terms: { heartbeatMs: 20 } } });
    const beats = (): number => broker.heard.filter(({ type }) => type === 'heartbeat').length;
    await eventually('five heartbeats', () => beats() >= 5);
  });

  it('greets a broker that does not know it, and tells it all again', async () => {
    const { broker, driver } = await start();
    const gate = new Gate();
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await broker.ready(3);
    driver.next('run', async () => gate.pass());
    broker.invoke(2, 1, dice, '2', true);
    await eventually('it runs', () => gate.arrivals === 1);
    broker.heard.length = broker.readySlots.length = 0;
    broker.say({ type: 'who' });
    await broker.ready(1);
    expect(broker.hellos[0]?.leases).to.deep.equal(['lease 2']);
    expect(broker.readySlots).to.deep.equal([0]);
    gate.open();
    await broker.outcomeOf(2);
  });

  it('sends an outcome again until it is acknowledged', async () => {
    const { broker } = await start({ broker: { terms: { leaseMs: 100 } } });
    broker.acknowledges = false;
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await eventually('it came three times', () => (broker.deliveries.get('lease 1') ?? 0) >= 3);
    broker.acknowledges = true;
    await eventually('it is not owed any more', () => {
      broker.heard.length = 0;
      broker.say({ type: 'who' });
      return eventually('a hello', () => broker.hellos[0]).then(({ leases }) => leases.length === 0);
    });
  });

  it('finds a broker that restarted, offers everything, and sends what it still owes', async () => {
    const { broker } = await start({ broker: { terms: { leaseMs: 300 } } });
    await broker.ready(2);
    broker.acknowledges = false;
    broker.invoke(1, 0, dice, '1');
    await broker.outcomeOf(1);
    await broker.close();
    const successor = await eventually('the port is free', () =>
      ScriptedBroker.open({ ...broker.ports, terms: { broker: 'broker-2' } }).catch(() => undefined),
    );
    try {
      await successor.ready(2);
      expect((await successor.outcomeOf(1)).result).to.equal('1');
      expect(successor.hellos.at(-1)?.leases).to.deep.equal(['lease 1']);
      expect(successor.heard).to.deep.include({ type: 'holds', key: dice.id, idle: 1 });
      // The spec is sent again: it was told to the first broker's worker only.
      successor.invoke(2, 0, dice, '2');
      expect((await successor.outcomeOf(2)).result).to.equal('2');
    } finally {
      await successor.close();
    }
  });

  it('connects anew when the broker is silent for a lease', async () => {
    const { broker } = await start({ broker: { mute: true, terms: { heartbeatMs: 20, leaseMs: 100 } } });
    await eventually('a hello', () => broker.hellos.length >= 1);
    broker.welcome();
    await broker.ready(2);
    const before = broker.hellos.length;
    await eventually('a hello after the silence', () => broker.hellos.length > before);
    broker.welcome();
    await broker.ready(4);
  });

  it('survives garbage', async () => {
    const { broker } = await start();
    await broker.ready(2);
    broker.sayFrames(['garbage', Buffer.from([1, 2, 3])]);
    broker.sayFrames(['[{"type":"invoke"}]', Buffer.alloc(0)]);
    broker.sayFrames(['[{"type":"ack","leases":[],"parts":[9]}]', Buffer.alloc(3)]);
    broker.sayFrames([JSON.stringify([null]), Buffer.alloc(0)]);
    broker.invoke(1, 0, dice, '1');
    expect((await broker.outcomeOf(1)).status).to.equal('DONE');
  });

  it('stops when it is refused, and says why', async () => {
    const { broker, failures } = await start({ broker: { mute: true } });
    await eventually('a hello', () => broker.hellos.length >= 1);
    broker.say({ type: 'refuse', message: 'too old' });
    await eventually('it fails', () => failures.length > 0);
    expect(failures[0]?.message).to.contain('too old');
    const hellos = broker.hellos.length;
    expect(broker.hellos.length).to.equal(hellos);
  });

  it('refuses a broker of another protocol', async () => {
    const { failures } = await start({ broker: { terms: { protocol: 2 } } });
    await eventually('it fails', () => failures.length > 0);
    expect(failures[0]?.message).to.contain('version 2 of the protocol');
  });

  it('speaks CURVE with keys', async () => {
    const [server, client] = [curveKeyPair(), curveKeyPair()];
    const { broker } = await start({
      broker: { keys: { curveServer: true, curveSecretKey: server.secretKey } },
      keys: {
        curveServerKey: server.publicKey,
        curvePublicKey: client.publicKey,
        curveSecretKey: client.secretKey,
      },
    });
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    expect((await broker.outcomeOf(1)).status).to.equal('DONE');
  });
});
