import { join } from 'node:path';
import { expect } from 'chai';
import { LevelStore, type VersionRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { pino } from 'pino';
import { Calls } from '../../broker/src/calls/calls.js';
import { Dispatcher } from '../../broker/src/scheduling/dispatcher.js';
import { Scheduler } from '../../broker/src/scheduling/scheduler.js';
import { ZmqBrokerTransport } from '@panal/transport/zeromq';
import { temporaryFolder } from '../support/folder.js';
import { ScriptedWorker, type HeardInvoke } from '../support/scripted-worker.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

const OWNER_LIMIT = 3;
const OWNER_QUEUE = 500;

describe('users side by side, over ZeroMQ', () => {
  const folder = temporaryFolder();
  const input = { kind: 'none' as const, bytes: new Uint8Array(0) };
  let store: LevelStore;
  let calls: Calls;
  let dispatcher: Dispatcher;
  let transport: ZmqBrokerTransport;
  let worker: ScriptedWorker;

  const functionOf = (owner: string, name = 'f', maxConcurrency?: number): VersionRecord =>
    versionOf(
      runtimeSpec(name, { owner, id: `${owner}-${name}` }),
      maxConcurrency === undefined ? {} : { maxConcurrency },
    );
  const accept = async (version: VersionRecord): Promise<number> =>
    (await calls.accept(version, input, { awaited: true })).callNum;
  const flood = async (version: VersionRecord, count: number): Promise<number[]> =>
    await Promise.all(Array.from({ length: count }, () => accept(version)));
  async function end(invoke: HeardInvoke): Promise<void> {
    await worker.reply(invoke, { free: invoke.slot });
  }

  beforeEach(async () => {
    const log = pino({ level: 'silent' });
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    transport = new ZmqBrokerTransport({ address: 'tcp://127.0.0.1:0', curve: undefined, log });
    dispatcher = new Dispatcher({
      transport,
      scheduler: new Scheduler({ ownerLimit: (owner) => (owner === 'public' ? Infinity : OWNER_LIMIT) }),
      brokerId: 'b1',
      heartbeatMs: 1000,
      leaseMs: 60_000,
      exposed: false,
      log,
    });
    calls = new Calls({
      store,
      dispatch: dispatcher,
      policy: { attempts: 1, backoffMs: 0 },
      maxQueue: 2000,
      ownerQueue: (owner) => (owner === 'public' ? Infinity : OWNER_QUEUE),
      recoveryMs: 0,
      log,
    });
    dispatcher.start(calls.attempts);
    await transport.open({ ...dispatcher.handlers, onRequest: async () => undefined });
    worker = new ScriptedWorker('w1', transport.port);
    await worker.join({ slots: 4 });
    worker.say(...[0, 1, 2, 3].map((slot) => ({ type: 'ready' as const, slot })));
    await eventually('the worker is known', () => dispatcher.workers('ana').length === 1);
  });

  afterEach(async () => {
    worker.close();
    dispatcher.stop();
    await transport.close();
    await calls.stop();
    await store.close();
  });

  it('run as many calls at once as they may; the others wait', async () => {
    await flood(functionOf('ada'), 20);
    await eventually('three run', () => worker.invokes.length === OWNER_LIMIT);
    expect([calls.runningOf('ada'), calls.runningOf('eve'), dispatcher.waiting]).to.deep.equal([3, 0, 17]);
    await end(await worker.nextInvoke());
    await eventually('the next one runs', () => worker.invokes.length === OWNER_LIMIT);
    expect(calls.runningOf('ada')).to.equal(3);
  });

  it('as nobody run as many as there is room for', async () => {
    await flood(functionOf('public'), 20);
    await eventually('all mini-workers are busy', () => worker.invokes.length === 4);
  });

  it('are served next, however many calls of another wait', async () => {
    const names = ['f', 'g', 'h', 'i', 'j'];
    for (const name of names) await flood(functionOf('ada', name), 80);
    await eventually('three run', () => worker.invokes.length === OWNER_LIMIT);
    const first = await accept(functionOf('eve'));
    expect((await eventually('a fourth runs', () => worker.invokes[OWNER_LIMIT])).callNum).to.equal(first);
    // With every mini-worker taken, it is the next that comes free.
    const second = await accept(functionOf('bob'));
    await end(await worker.nextInvoke());
    const next = await eventually('another runs', () => worker.invokes[OWNER_LIMIT]);
    expect(next.callNum).to.equal(second);
  });

  it('are served first come first served each', async () => {
    const numbers = await flood(functionOf('ada'), 40);
    const served: number[] = [];
    while (served.length < 40) {
      const invoke = await worker.nextInvoke();
      served.push(invoke.callNum);
      await end(invoke);
    }
    expect(served).to.deep.equal(numbers);
  });

  it('fill their own share of the queue, and no more', async () => {
    await flood(functionOf('ada'), OWNER_QUEUE);
    await eventually('three run', () => worker.invokes.length === OWNER_LIMIT);
    const refusal = await accept(functionOf('ada', 'g')).catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(PanalError).and.include({ code: 'QUEUE_FULL', retryAfter: 1 });
    await accept(functionOf('eve'));
    await end(await worker.nextInvoke());
    await eventually('there is room again', () => calls.unsettled === OWNER_QUEUE);
    await accept(functionOf('ada', 'g'));
  });

  it('run no more calls of a function at once than its maxConcurrency', async () => {
    await flood(functionOf('public', 'one', 1), 5);
    await accept(functionOf('public', 'other'));
    await eventually('one of each runs', () => worker.invokes.length === 2);
    for (let served = 0; served < 6; served++) await end(await worker.nextInvoke());
    await eventually('all have ended', () => calls.unsettled === 0);
  });

  it('are not held up by a lone slow call', async () => {
    const slow = await accept(functionOf('ada', 'slow'));
    expect((await worker.nextInvoke()).callNum).to.equal(slow);
    for (let call = 0; call < 50; call++) {
      await accept(functionOf(call % 2 === 0 ? 'ada' : 'eve', call % 3 === 0 ? 'slow' : 'f'));
      await end(await worker.nextInvoke());
    }
    await eventually('only the slow one is left', () => calls.unsettled === 1);
    expect((await calls.get('ada', slow))?.status).to.equal('RUNNING');
  });
});
