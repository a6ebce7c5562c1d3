import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LevelStore, type CallEvent, type CallRecord } from '@panal/db';
import { expect } from 'chai';
import { pino } from 'pino';
import type { CallSubscriber } from '../../broker/src/calls/call-events.js';
import { Calls } from '../../broker/src/calls/calls.js';
import { temporaryFolder } from '../support/folder.js';
import { ScriptedDispatch } from '../support/scripted-dispatch.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';
import { outcomeOf } from './outcomes.js';

const SETTLING = fileURLToPath(new URL('settling-process.ts', import.meta.url));

describe('Events of a call', () => {
  const folder = temporaryFolder();
  const dice = versionOf(runtimeSpec('dice'));
  let store: LevelStore;
  let calls: Calls;
  let dispatch: ScriptedDispatch;
  let told: CallRecord[];

  /** Keeps what it is told, and takes it if `takes` says so. */
  const listener = (takes = true): CallSubscriber => ({
    name: 'listener',
    wants: ({ funcName }) => funcName === 'dice',
    async deliver(call) {
      told.push(call);
      if (!takes) throw new Error('not now');
    },
  });

  async function open(subscribers: CallSubscriber[]): Promise<void> {
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    dispatch = new ScriptedDispatch();
    const policy = { attempts: 1, backoffMs: 0 };
    const log = pino({ level: 'silent' });
    calls = new Calls({ store, dispatch, policy, maxQueue: 10, recoveryMs: 0, subscribers, log });
    await calls.recover();
  }

  async function close(): Promise<void> {
    await calls.stop();
    await store.close();
  }

  async function settle(): Promise<void> {
    const input = { kind: 'json' as const, bytes: Buffer.from('{}') };
    await calls.accept(dice, input, { awaited: false });
    const job = await eventually('a job is submitted', () => dispatch.jobs.shift());
    calls.attempts.started(job, 'w1');
    await calls.attempts.ended(job, outcomeOf(job));
  }

  async function pending(): Promise<CallEvent[]> {
    const events: CallEvent[] = [];
    for await (const event of store.events.pendingEvents()) events.push(event);
    return events;
  }

  beforeEach(() => {
    told = [];
  });
  afterEach(close);

  it('reach who subscribes, whole, and are forgotten', async () => {
    await open([listener()]);
    await settle();
    await eventually('the event is delivered', async () => (await pending()).length === 0);
    expect(told).to.have.length(1);
    expect(told[0]).to.include({ callNum: 1, status: 'DONE' });
    expect(Buffer.from(told[0]?.result ?? []).toString()).to.equal('[4,6,4,3]');
  });

  it('are not stored if nobody wants them', async () => {
    await open([]);
    await settle();
    expect(await pending()).to.deep.equal([]);
    await close();
    await open([{ ...listener(), wants: () => false }]);
    await settle();
    expect(await pending()).to.deep.equal([]);
    expect(told).to.deep.equal([]);
  });

  it('stay until somebody takes them', async () => {
    await open([listener(false)]);
    await settle();
    await eventually('it was tried', () => told.length > 0);
    await close();
    await open([]);
    expect(await pending()).to.have.length(1);
    await close();
    told = [];
    await open([listener()]);
    await eventually('the event is delivered', async () => (await pending()).length === 0);
    expect(told.map(({ callNum }) => callNum)).to.deep.equal([1]);
  });

  it('come again after a broker was killed between the end of the call and its delivery', async () => {
    const args = ['--import=tsx', '--conditions=@panal/source', SETTLING, join(folder(), 'store')];
    const broker = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(broker, 'exit');
    try {
      const said: unknown[] = await Promise.race([once(broker.stdout, 'data'), ended]);
      expect(String(said[0])).to.equal('told\n');
    } finally {
      broker.kill('SIGKILL');
    }
    await ended;
    await open([listener()]);
    await eventually('the event is delivered', async () => (await pending()).length === 0);
    expect(told).to.have.length(1);
    expect(told[0]).to.include({ callNum: 1, status: 'DONE' });
  });
});
