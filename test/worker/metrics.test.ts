import { expect } from 'chai';
import { ConfigError } from '@panal/protocol';
import { PROTOCOL_VERSION } from '@panal/transport';
import { MetricSet } from '@panal/protocol/metrics';
import { MeteredDriver } from '../../worker/src/metrics/metered-driver.js';
import { serveMetrics, type MetricsServer } from '../../worker/src/metrics/metrics-server.js';
import { WorkerMetrics } from '../../worker/src/metrics/worker-metrics.js';
import { FunctionError, PlatformError } from '../../worker/src/errors.js';
import { FakeDriver } from '../support/fake-sandbox.js';
import { runtimeSpec } from '../support/specs.js';

const spec = runtimeSpec('dice');
const never = new AbortController().signal;

const census = { idle: 1, preparing: 2, running: 3, sandboxes: 4, outbox: 5, joined: true, reconnects: 6 };

describe('The metrics of a worker', () => {
  let servers: MetricsServer[] = [];
  let ends: (() => void)[] = [];

  async function serve(metrics: MetricSet): Promise<string> {
    const server = await serveMetrics('127.0.0.1:0', metrics);
    servers.push(server);
    return server.url;
  }

  function watched(driver = new MeteredDriver(new FakeDriver())): WorkerMetrics {
    const metrics = new WorkerMetrics();
    ends.push(metrics.watch({ worker: { census: () => census }, driver }));
    return metrics;
  }

  afterEach(async () => {
    for (const end of ends) end();
    await Promise.all(servers.map((server) => server.close()));
    servers = [];
    ends = [];
  });

  it('are served at an address of their own, and nothing else is', async () => {
    const url = await serve(watched().set);
    const answer = await fetch(url);
    expect([answer.status, answer.headers.get('content-type')]).to.deep.equal([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    const text = await answer.text();
    for (const line of [
      'panal_worker_mini_workers{state="preparing"} 2',
      'panal_sandboxes_idle 4',
      'panal_outcomes_unacknowledged 5',
      'panal_broker_connected 1',
      'panal_broker_reconnects_total 6',
      `panal_protocol_version ${PROTOCOL_VERSION}`,
    ]) {
      expect(text.split('\n')).to.include(line);
    }
    expect((await fetch(url.replace('/metrics', '/'))).status).to.equal(404);
    expect((await fetch(url, { method: 'POST' })).status).to.equal(404);
  });

  it('are refused an address that is taken, by the name of the setting', async () => {
    const url = new URL(await serve(new MetricSet()));
    const error: unknown = await serveMetrics(url.host, new MetricSet()).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ConfigError);
    expect(String(error)).to.contain(`FAAS_METRICS_ADDRESS ${url.host} cannot be listened at: `);
  });

  it('count what sandboxes needed, how it ended, and how long it took', async () => {
    const fake = new FakeDriver();
    const driver = new MeteredDriver(fake);
    const prepared = await driver.prepare(spec, never);
    await driver.start(prepared, 'warm', never);
    fake.fail('start', new PlatformError('SANDBOX_FAILED', 'x'));
    await driver.start(prepared, 'warm', never).catch(() => undefined);
    fake.fail('start', new FunctionError('START_FAILED', 'x'));
    await driver.start(prepared, 'warm', never).catch(() => undefined);
    fake.fail('start', new Error('x'));
    await driver.start(prepared, 'warm', AbortSignal.abort()).catch(() => undefined);
    await (await driver.preload?.(prepared, never))?.bind(prepared);
    const text = (await watched(driver).set.text()).split('\n');
    for (const [step, result] of [
      ['prepare', 'ok'],
      ['start', 'ok'],
      ['start', 'failed'],
      ['start', 'refused'],
      ['start', 'stopped'],
      ['preload', 'ok'],
      ['bind', 'ok'],
    ] as const) {
      expect(text).to.include(`panal_sandbox_steps_total{step="${step}",result="${result}"} 1`);
    }
    expect(text).to.include('panal_sandbox_step_seconds_count{step="start"} 1');
  });

  it('count attempts by status, lifecycle and start, and those that the platform failed', async () => {
    const metrics = watched();
    const outcome = { type: 'outcome', lease: 'l', callNum: 1, worker: 'w', platform: false } as const;
    metrics.outcomes.ended({
      ...outcome,
      status: 'DONE',
      start: 'hot',
      preloaded: true,
      prepareMs: 1,
      runMs: 40,
    });
    metrics.outcomes.ended({
      ...outcome,
      status: 'FAILED',
      platform: true,
      preloaded: false,
      prepareMs: 9,
      runMs: 0,
    });
    const text = (await metrics.set.text()).split('\n');
    for (const line of [
      'panal_attempts_total{status="DONE",lifecycle="hot",start="preloaded"} 1',
      'panal_attempts_total{status="FAILED",lifecycle="none",start="other"} 1',
      'panal_attempts_failed_by_platform_total 1',
      'panal_attempt_phase_seconds_bucket{phase="run",le="0.05"} 2',
      'panal_attempt_phase_seconds_bucket{phase="run",le="0.025"} 1',
    ]) {
      expect(text).to.include(line);
    }
  });

  it('leave a driver without blanks without them', () => {
    const fake = new FakeDriver();
    const bare = withoutBlanks(fake);
    expect(new MeteredDriver(bare).preload).to.equal(undefined);
  });
});

/** The driver's methods but `preload`. */
function withoutBlanks(fake: FakeDriver): ConstructorParameters<typeof MeteredDriver>[0] {
  return {
    open: () => fake.open(),
    close: () => fake.close(),
    prepare: (of, signal) => fake.prepare(of, signal),
    start: (prepared, lifecycle, signal) => fake.start(prepared, lifecycle, signal),
    reclaim: () => fake.reclaim(),
    caches: () => fake.caches(),
  };
}
