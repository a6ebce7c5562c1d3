import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { LevelStore, type CallRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { Calls } from '../../broker/src/calls/calls.js';
import type { Job } from '../../broker/src/scheduling/job.js';
import { temporaryFolder } from '../support/folder.js';
import { ScriptedDispatch } from '../support/scripted-dispatch.js';
import { imageSpec, runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';
import { outcomeOf } from './outcomes.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const input = { kind: 'json' as const, bytes: bytes('{"roll":"4d6"}') };

describe('Calls', () => {
  const folder = temporaryFolder();
  const dice = versionOf(runtimeSpec('dice'));
  let store: LevelStore;
  let dispatch: ScriptedDispatch;
  let calls: Calls;

  function open(policy = { attempts: 2, backoffMs: 0 }, maxQueue = 100): Calls {
    dispatch = new ScriptedDispatch();
    return new Calls({ store, dispatch, policy, maxQueue, recoveryMs: 0, log: pino({ level: 'silent' }) });
  }

  async function nextJob(): Promise<Job> {
    return await eventually('a job is submitted', () => dispatch.jobs.shift());
  }

  async function refusal(work: Promise<unknown>): Promise<string> {
    try {
      await work;
    } catch (error) {
      if (error instanceof PanalError) return error.code;
      throw error;
    }
    return 'none';
  }

  beforeEach(async () => {
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    const record = {
      owner: 'public',
      name: 'dice',
      activeVersion: 1,
      latestVersion: 1,
      createdAt: 1,
      updatedAt: 1,
    };
    await store.functions.putFunction(record, dice);
    calls = open();
    await calls.recover();
  });

  afterEach(async () => {
    await calls.stop();
    await store.close();
  });

  it('has a call in the store before it says that it is accepted', async () => {
    const { callNum } = await calls.accept(dice, input, { awaited: false });
    expect(callNum).to.equal(1);
    expect(await store.calls.getCall('public', 1)).to.include({
      funcName: 'dice',
      status: 'PENDING',
      attempts: 0,
    });
  });

  it('refuses a call that could not be stored, and does not run it', async () => {
    await store.close();
    expect(await refusal(calls.accept(dice, input, { awaited: false }))).to.equal('STORE_UNAVAILABLE');
    const awaited = await calls.accept(dice, input, { awaited: true });
    expect(await refusal(calls.settled(awaited, 10_000))).to.equal('STORE_UNAVAILABLE');
    expect(dispatch.jobs).to.deep.equal([]);
    expect(calls.unsettled).to.equal(0);
  });

  it('settles a call with what its worker reported, in the store before anyone hears of it', async () => {
    const call = await calls.accept(dice, input, { awaited: true });
    const waiting = calls.settled(call, 10_000);
    const job = await nextJob();
    calls.attempts.started(job, 'w1');
    expect(await calls.get('public', 1)).to.include({ status: 'RUNNING', attempts: 1, worker: 'w1' });
    await calls.attempts.ended(job, outcomeOf(job));
    const settled = await waiting;
    expect(settled).to.include({ status: 'DONE', exitCode: 0, start: 'warm', worker: 'w1' });
    expect(settled?.timings).to.include({ prepare: 2, run: 3 });
    const stored = await store.calls.getCall('public', 1);
    expect(Buffer.from(stored?.result ?? []).toString()).to.equal('[4,6,4,3]');
    expect(Buffer.from(stored?.logs ?? []).toString()).to.equal('rolled');
  });

  it('keeps a settled call as it is, whatever comes later', async () => {
    await calls.accept(dice, input, { awaited: false });
    const job = await nextJob();
    calls.attempts.started(job, 'w1');
    await calls.attempts.ended(job, outcomeOf(job));
    const before = await calls.get('public', 1);
    await calls.attempts.ended(job, outcomeOf(job, { status: 'FAILED' }));
    calls.attempts.lost(job, { code: 'WORKER_LOST', message: 'late' });
    expect(await refusal(calls.cancel('public', 1))).to.equal('CALL_SETTLED');
    expect(await calls.get('public', 1)).to.deep.equal(before);
  });

  it('settles once when the outcome and a cancel meet', async () => {
    await calls.accept(dice, input, { awaited: false });
    const job = await nextJob();
    calls.attempts.started(job, 'w1');
    const [, cancelled] = await Promise.all([
      calls.attempts.ended(job, outcomeOf(job)),
      calls.cancel('public', 1),
    ]);
    expect(cancelled.status).to.equal('DONE');
    expect((await store.calls.getCall('public', 1))?.status).to.equal('DONE');
  });

  it('tries a call again when its worker is lost, and gives up as DEAD', async () => {
    const call = await calls.accept(dice, input, { awaited: false });
    for (const attempt of [1, 2]) {
      const job = await nextJob();
      expect(job.attempt).to.equal(attempt);
      calls.attempts.started(job, 'w1');
      calls.attempts.lost(job, { code: 'WORKER_LOST', message: 'gone' });
    }
    const settled = await calls.settled(call, 10_000);
    expect(settled).to.include({ status: 'DEAD', attempts: 2 });
    expect(settled?.error?.code).to.equal('WORKER_LOST');
  });

  it('begins anew, at once and at no cost, an attempt that a worker handed back before it began', async () => {
    calls = open({ attempts: 1, backoffMs: 60_000 });
    const call = await calls.accept(dice, input, { awaited: false });
    const handedBack = { status: 'FAILED', platform: true, returned: true } as const;
    for (let times = 0; times < 3; times++) {
      const job = await nextJob();
      calls.attempts.started(job, 'w1');
      await calls.attempts.ended(job, outcomeOf(job, handedBack));
      expect((await calls.get('public', call.callNum))?.status).to.equal('PENDING');
    }
    const last = await nextJob();
    calls.attempts.started(last, 'w2');
    await calls.attempts.ended(last, outcomeOf(last));
    expect(await calls.get('public', call.callNum)).to.include({ status: 'DONE', attempts: 4 });
  });

  it('lets only the current attempt settle', async () => {
    await calls.accept(dice, input, { awaited: false });
    const first = await nextJob();
    calls.attempts.started(first, 'w1');
    calls.attempts.lost(first, { code: 'WORKER_LOST', message: 'gone' });
    const second = await nextJob();
    calls.attempts.started(second, 'w2');
    await calls.attempts.ended(first, outcomeOf(first));
    expect((await calls.get('public', 1))?.status).to.equal('RUNNING');
    await calls.attempts.ended(second, outcomeOf(second, { worker: 'w2' }));
    expect(await calls.get('public', 1)).to.include({ status: 'DONE', attempts: 2 });
  });

  it('gives an attempt back to the worker that still has it, while no later one began', async () => {
    await calls.accept(dice, input, { awaited: false });
    const first = await nextJob();
    calls.attempts.started(first, 'w1');
    calls.attempts.lost(first, { code: 'WORKER_LOST', message: 'gone' });
    const claimed = calls.attempts.claim({ ...first, run: '' });
    expect(claimed?.attempt).to.equal(1);
    expect(calls.attempts.claim({ ...first, run: '', callNum: 99 })).to.equal(undefined);
    if (claimed === undefined) throw new Error('unreachable');
    calls.attempts.started(claimed, 'w1');
    expect(calls.attempts.claim({ ...first, run: '' }), 'it runs now').to.equal(undefined);
    await calls.attempts.ended(claimed, outcomeOf(claimed));
    expect(await calls.get('public', 1)).to.include({ status: 'DONE', attempts: 1 });
    expect(dispatch.jobs).to.deep.equal([]);
  });

  it('cancels a call that waits at once, and asks the worker to stop one that runs', async () => {
    await calls.accept(dice, input, { awaited: false });
    await calls.accept(dice, input, { awaited: false });
    const running = await nextJob();
    calls.attempts.started(running, 'w1');
    expect((await calls.cancel('public', 2)).status).to.equal('CANCELLED');
    const cancelling = calls.cancel('public', 1);
    await eventually('the worker is told', () => dispatch.cancelled.includes(running));
    await calls.attempts.ended(running, outcomeOf(running, { status: 'CANCELLED' }));
    expect((await cancelling).status).to.equal('CANCELLED');
  });

  it("does not show, count or cancel another owner's call", async () => {
    await calls.accept(dice, input, { awaited: false });
    expect(await calls.get('eve', 1)).to.equal(undefined);
    expect(await refusal(calls.cancel('eve', 1))).to.equal('CALL_NOT_FOUND');
    expect(await calls.list({ owner: 'eve', limit: 10 })).to.deep.equal([]);
  });

  it('lists running and waiting calls by their status of now', async () => {
    await calls.accept(dice, input, { awaited: false });
    await calls.accept(dice, input, { awaited: false });
    calls.attempts.started(await nextJob(), 'w1');
    const numbers = async (status?: CallRecord['status']): Promise<number[]> => {
      const query = { owner: 'public', limit: 10, ...(status === undefined ? {} : { status }) };
      return (await calls.list(query)).map(({ callNum }) => callNum);
    };
    expect(await numbers('RUNNING')).to.deep.equal([1]);
    expect(await numbers('PENDING')).to.deep.equal([2]);
    expect((await calls.list({ owner: 'public', limit: 10 })).map(({ status }) => status)).to.deep.equal([
      'PENDING',
      'RUNNING',
    ]);
  });

  it('stops waiting when the time is over, and the call goes on', async () => {
    const call = await calls.accept(dice, input, { awaited: true });
    expect(await calls.settled(call, 1)).to.equal(undefined);
    const job = await nextJob();
    calls.attempts.started(job, 'w1');
    await calls.attempts.ended(job, outcomeOf(job));
    expect(await calls.settled(call, 10_000)).to.include({ status: 'DONE' });
  });

  it('refuses calls past the queue bound, and image functions where no worker has an engine', async () => {
    await calls.stop();
    calls = open(undefined, 1);
    await calls.accept(dice, input, { awaited: false });
    expect(await refusal(calls.accept(dice, input, { awaited: false }))).to.equal('QUEUE_FULL');
    await calls.stop();
    calls = open();
    dispatch.engine = false;
    const image = versionOf(imageSpec('reverse'));
    expect(await refusal(calls.accept(image, input, { awaited: false }))).to.equal('NO_CONTAINER_ENGINE');
  });

  it('takes up after a restart what an earlier run had not settled, and goes on counting', async () => {
    await calls.accept(dice, input, { awaited: false });
    await calls.accept(dice, input, { awaited: false });
    const settled = await nextJob();
    calls.attempts.started(settled, 'w1');
    await calls.attempts.ended(settled, outcomeOf(settled));
    await calls.stop();
    await store.close();
    await store.open();
    calls = open();
    await calls.recover();
    const job = await nextJob();
    expect(job.callNum).to.equal(2);
    expect(Buffer.from(job.params).toString()).to.equal('{"roll":"4d6"}');
    expect((await calls.accept(dice, input, { awaited: false })).callNum).to.equal(3);
  });
});
