import type { CallRetention } from '@panal/db';
import { PUBLIC_OWNER } from '@panal/protocol';
import { expect } from 'chai';
import { pino } from 'pino';
import { retention } from '../../broker/src/calls/retention.js';
import { LiveBroker } from '../support/live-broker.js';
import { temporaryFolder } from '../support/folder.js';
import { Gate } from '../support/gate.js';
import { eventually } from '../../testkit/wait.js';
import { errorCode, startedApi } from './api.js';

const log = pino({ level: 'silent' });

describe('Calls that are kept no longer', () => {
  const api = startedApi();
  const listed = async (query = ''): Promise<string[]> =>
    Object.keys((await api().get(`/calls${query}`)).json ?? {});

  /** A call that ended, with its number. */
  async function settledCall(fields = {}, headers = {}): Promise<number> {
    const { json } = await api().post('/invokeFunction', { funcName: 'dice' }, headers);
    await api().end(await api().take(), 'done', fields);
    return (json as { callNum: number }).callNum;
  }

  async function remove(kept: CallRetention): Promise<void> {
    for await (const removed of api().store.calls.removeCalls(kept)) expect(removed).to.be.at.least(0);
  }

  beforeEach(async () => {
    await api().registerImage('dice');
  });

  it('answer as those that never were', async () => {
    for (let n = 0; n < 3; n++) await settledCall();
    await remove({ newest: 1 });
    for (const callNum of [1, 99]) {
      const [found, stopped, again, logs] = [
        await api().get(`/call/${callNum}`),
        await api().send('DELETE', `/call/${callNum}`),
        await api().send('POST', `/call/${callNum}/retry`),
        await api().get(`/call/${callNum}/logs`),
      ];
      for (const reply of [found, stopped, again, logs]) {
        expect([reply.status, errorCode(reply)]).to.deep.equal([404, 'CALL_NOT_FOUND']);
        expect(reply.text).to.contain(`there is no call ${callNum}`);
      }
    }
    for (const query of ['', '?status=DONE', '?funcName=dice', '?before=9']) {
      expect(await listed(query)).to.deep.equal(['c3']);
    }
    expect(await settledCall(), 'numbers go on').to.equal(4);
  });

  it('make no second call of their key', async () => {
    const key = { 'Idempotency-Key': 'order-7' };
    await settledCall({}, key);
    await remove({ newest: 0 });
    const again = await api().post('/invokeFunction', { funcName: 'dice' }, key);
    expect([again.status, errorCode(again)]).to.deep.equal([404, 'CALL_NOT_FOUND']);
    expect(api().cluster.jobs).to.deep.equal([]);
  });

  it('are not put back, also where that had begun, and are counted once', async () => {
    const error = { code: 'SANDBOX_FAILED', message: 'x' } as const;
    const callNum = await settledCall({ status: 'FAILED', platform: true, error });
    expect(await listed('?status=DEAD')).to.deep.equal([`c${callNum}`]);
    const { store } = api();
    const putBackCall = store.calls.putBackCall.bind(store.calls);
    store.calls.putBackCall = async (call) => {
      await remove({ newest: 0 });
      return await putBackCall(call);
    };
    const reply = await api().send('POST', `/call/${callNum}/retry`);
    expect([reply.status, errorCode(reply)]).to.deep.equal([404, 'CALL_NOT_FOUND']);
    expect(api().calls.unsettled).to.equal(0);
    expect(await listed()).to.deep.equal([]);
    const metrics = (await api().get('/metrics')).text;
    expect(metrics)
      .to.match(/panal_calls_accepted_total 2\n/)
      .and.match(/panal_calls_forgotten_total 1\n/);
  });

  it('are removed at start and again later, but never those that have not ended', async () => {
    for (let n = 0; n < 3; n++) await settledCall();
    await api().post('/invokeFunction', { funcName: 'dice' });
    const day = 24 * 3600 * 1000;
    const later = retention({
      store: api().store.calls,
      kept: { keepMs: day },
      log,
      now: () => Date.now() + day + 1000,
    });
    later.start();
    await eventually('those that ended are gone', async () => (await listed()).length === 1);
    await later.stop();
    expect(await api().calls.get(PUBLIC_OWNER, 4)).to.include({ status: 'PENDING' });
  });

  it('are left where the broker stops meanwhile', async () => {
    const gate = new Gate();
    let pages = 0;
    const stopping = retention({
      store: {
        callUsage: () => Promise.resolve({ calls: 0, bytes: 0 }),
        reclaim: () => Promise.resolve(),
        async *removeCalls() {
          for (;;) {
            yield ++pages;
            await gate.pass();
          }
        },
      },
      kept: { newest: 1 },
      log,
    });
    stopping.start();
    await eventually('it is at work', () => gate.arrivals === 1);
    const stopped = stopping.stop();
    gate.open();
    await stopped;
    expect(pages).to.be.at.most(2);
  });
});

describe('A broker that keeps few calls', () => {
  const folder = temporaryFolder();

  it('lets the oldest go within a moment if they take too much', async () => {
    const broker = await LiveBroker.start(folder(), { FAAS_CALLS_KEEP_MB: '1' });
    try {
      await broker.worker();
      await broker.register('dice');
      // Its result is its parameter: so each call takes about twice that, and three of them less than 1 MiB.
      for (let n = 0; n < 6; n++) {
        await fetch(`${broker.url}/run/dice`, { method: 'POST', body: 'x'.repeat(140_000) });
      }
      const numbers = async (): Promise<string[]> =>
        Object.keys((await (await fetch(`${broker.url}/calls`)).json()) as object);
      await eventually('the others are gone', async () => (await numbers()).length === 3);
      expect(await numbers()).to.deep.equal(['c6', 'c5', 'c4']);
    } finally {
      await broker.stop();
    }
  });

  it('has those alone after its start', async () => {
    let broker = await LiveBroker.start(folder());
    await broker.worker();
    await broker.register('dice');
    for (let n = 0; n < 5; n++) await fetch(`${broker.url}/run/dice`, { method: 'POST' });
    await broker.stop();
    broker = await LiveBroker.start(folder(), { FAAS_CALLS_KEEP: '2' });
    try {
      const numbers = async (): Promise<string[]> =>
        Object.keys((await (await fetch(`${broker.url}/calls`)).json()) as object);
      await eventually('the others are gone', async () => (await numbers()).length === 2);
      expect(await numbers()).to.deep.equal(['c5', 'c4']);
    } finally {
      await broker.stop();
    }
  });
});
