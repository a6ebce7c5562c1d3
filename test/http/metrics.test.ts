import { expect } from 'chai';
import type { CallRecord } from '@panal/db';
import { CallMetrics } from '../../broker/src/metrics/call-metrics.js';
import { encodeCall } from '../../db/src/call-codec.js';
import { processorMs } from '../support/processor-time.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { startedApi, type Api } from './api.js';
import { basic } from './person.js';

/** The value of a line of the metrics, by its name and labels as they are written. */
async function value(api: Api, line: string): Promise<number> {
  const { text } = await api.get('/metrics');
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  expect(found, `${line} in ${text}`).not.to.equal(undefined);
  return Number(found?.slice(line.length + 1));
}

describe('GET /metrics of the broker', () => {
  let began: number;
  beforeEach(() => {
    began = performance.now();
  });
  const api = startedApi();

  it('is in the text format of Prometheus, each metric with its help and type', async () => {
    await api().registerImage('dice');
    await api().post('/invokeFunction', { funcName: 'dice' });
    await api().end(await api().take(), 'done');
    await api().get('/nope');
    const { headers, text } = await api().get('/metrics');
    expect(headers.get('content-type')).to.equal('text/plain; version=0.0.4; charset=utf-8');
    expect(text).to.match(/\n$/);
    const described = new Set<string>();
    for (const line of text.split('\n')) {
      const [, kind, name = ''] = /^# (HELP|TYPE) (\S+) \S/.exec(line) ?? [];
      if (kind !== undefined) described.add(`${kind} ${name}`);
      else if (line !== '') {
        const [, metric = ''] = /^([a-z_]+)(?:\{(?:[a-z]+="[^"\\\n]*",?)+\})? \S+$/.exec(line) ?? [];
        expect(metric, line).not.to.equal('');
        const family = metric.replace(/_(bucket|sum|count)$/, '');
        expect(described, line).to.include(`TYPE ${family}`).and.to.include(`HELP ${family}`);
      }
    }
  });

  it('counts calls by status, lifecycle and start, and how long each phase took', async () => {
    await api().registerImage('dice');
    for (let n = 0; n < 4; n++) await api().post('/invokeFunction', { funcName: 'dice' });
    await api().end(await api().take(), 'done', {
      start: 'fresh',
      preloaded: true,
      prepareMs: 20,
      runMs: 2000,
    });
    const failure = { code: 'FUNCTION_FAILED', message: 'x' } as const;
    await api().end(await api().take(), '', { status: 'FAILED', start: 'fresh', error: failure });
    await api().calls.cancel('public', 3);
    const settled = (status: string, start: string): Promise<number> =>
      value(api(), `panal_calls_settled_total{status="${status}",lifecycle="fresh",start="${start}"}`);
    expect(await settled('DONE', 'preloaded')).to.equal(1);
    expect(await settled('FAILED', 'other')).to.equal(1);
    expect(await settled('CANCELLED', 'none')).to.equal(1);
    expect(await settled('DONE', 'other')).to.equal(0);
    expect(await value(api(), 'panal_calls_accepted_total')).to.equal(4);
    expect(await value(api(), 'panal_calls_unsettled')).to.equal(1);
    const bucket = (phase: string, le: string): Promise<number> =>
      value(api(), `panal_call_phase_seconds_bucket{phase="${phase}",le="${le}"}`);
    expect(await bucket('run', '1')).to.equal(2);
    expect(await bucket('run', '2.5')).to.equal(3);
    expect(await bucket('run', '+Inf')).to.equal(3);
    expect(await value(api(), 'panal_call_phase_seconds_count{phase="prepare"}')).to.equal(3);
    expect(await value(api(), 'panal_call_phase_seconds_sum{phase="prepare"}')).to.be.closeTo(0.022, 1e-9);
  });

  it('tells how many calls wait, and for how long the oldest has', async () => {
    expect(await value(api(), 'panal_queue_oldest_seconds')).to.equal(0);
    await api().registerImage('dice');
    for (let n = 0; n < 3; n++) await api().post('/invokeFunction', { funcName: 'dice' });
    await api().take();
    expect(await value(api(), 'panal_queue_length')).to.equal(2);
    const since = api().calls.waitingSince() ?? 0;
    expect(since).to.equal((await api().calls.get('public', 2))?.acceptedAt);
    expect(await value(api(), 'panal_queue_oldest_seconds')).to.be.within(
      0,
      (Date.now() + 1000 - since) / 1000,
    );
  });

  it('counts workers, mini-workers, commits and errors', async () => {
    await api().registerImage('dice');
    await api().get('/functions/nope');
    await api().get('/functions/nope');
    expect(await value(api(), 'panal_workers{state="up"}')).to.equal(1);
    expect(await value(api(), 'panal_mini_workers{state="idle"}')).to.equal(3);
    expect(await value(api(), 'panal_mini_workers{state="busy"}')).to.equal(1);
    expect(await value(api(), 'panal_store_commit_seconds_count{durability="os"}')).to.be.at.least(1);
    expect(await value(api(), 'panal_store_writes_total')).to.be.at.least(2);
    expect(await value(api(), 'panal_http_errors_total{code="FUNCTION_NOT_FOUND"}')).to.equal(2);
    const delay = await value(api(), 'panal_event_loop_delay_seconds{quantile="0.99"}');
    // In seconds: none is longer than the API has been there.
    expect(delay).to.be.within(0, (performance.now() - began) / 1000);
  });

  it('names no user and no function, and does not grow with them', async () => {
    const lines = async (): Promise<number> => (await api().get('/metrics')).text.split('\n').length;
    const before = await lines();
    for (const name of ['secret-one', 'secret-two', 'secret-three']) {
      await api().users.register(name, 'secret');
      await api().send(
        'POST',
        '/registerFunction',
        `{"functionName":"${name}","image":"x/y"}`,
        basic(name, 'secret'),
      );
      await api().send('POST', '/invokeFunction', `{"funcName":"${name}"}`, basic(name, 'secret'));
      await api().end(await api().take(), 'done');
    }
    expect(await lines()).to.equal(before);
    expect((await api().get('/metrics')).text).not.to.contain('secret');
  });
});

describe('Counting a call', () => {
  it('costs less than to put its record into bytes', async () => {
    const metrics = new CallMetrics();
    const version = versionOf(runtimeSpec('dice'));
    const call: CallRecord = {
      callNum: 1,
      owner: 'public',
      funcName: 'dice',
      version: 1,
      functionId: 'id',
      input: 'none',
      params: new Uint8Array(0),
      status: 'DONE',
      attempts: 1,
      acceptedAt: 0,
      start: 'warm',
      timings: { queued: 0.3, prepare: 12, run: 250, total: 262.3 },
    };
    const often = (work: () => void): Promise<number> =>
      processorMs(() => {
        for (let n = 0; n < 50_000; n++) work();
      });
    const counted = await often(() => {
      metrics.accepted();
      metrics.settled(call, version);
    });
    const encoded = await often(() => encodeCall(call));
    expect(counted).to.be.below(encoded);
  });
});
