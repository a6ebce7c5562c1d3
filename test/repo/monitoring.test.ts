import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { dump, load } from 'js-yaml';
import { z } from 'zod';
import { WorkerTally } from '../../broker/src/scheduling/worker-registry.js';
import { BrokerMetrics } from '../../broker/src/metrics/broker-metrics.js';
import { MeteredDriver } from '../../worker/src/metrics/metered-driver.js';
import { WorkerMetrics } from '../../worker/src/metrics/worker-metrics.js';
import { FakeDriver } from '../support/fake-sandbox.js';
import { temporaryFolder } from '../support/folder.js';
import { withPromtool } from '../support/groups.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'hub-deployment/monitoring/');
const read = (file: string): string => readFileSync(FOLDER + file, 'utf8');

const gridPos = z.object({ x: z.int(), y: z.int(), w: z.int().max(24), h: z.int() });
const dashboard = z.object({
  title: z.string(),
  schemaVersion: z.int(),
  panels: z.array(
    z.object({
      id: z.int(),
      type: z.enum(['row', 'stat', 'timeseries']),
      title: z.string().min(1),
      gridPos,
      targets: z.array(z.object({ refId: z.string(), expr: z.string().min(1) })).optional(),
    }),
  ),
});
const monitored = z.object({ profiles: z.array(z.string()), volumes: z.array(z.string()) });
const composeSchema = z.object({
  services: z.object({ prometheus: monitored.extend({ command: z.array(z.string()) }), grafana: monitored }),
});
const providers = z.strictObject({
  apiVersion: z.literal(1),
  providers: z.array(
    z.strictObject({
      name: z.string(),
      type: z.literal('file'),
      options: z.strictObject({ path: z.string() }),
    }),
  ),
});
const datasources = z.strictObject({
  apiVersion: z.literal(1),
  datasources: z.array(
    z.strictObject({
      name: z.string(),
      uid: z.string(),
      type: z.literal('prometheus'),
      access: z.literal('proxy'),
      url: z.url(),
      isDefault: z.literal(true),
    }),
  ),
});

const { panels } = dashboard.parse(JSON.parse(read('grafana-dashboard.json')));
const expressions = panels.flatMap(({ targets }) => targets?.map(({ expr }) => expr) ?? []);

/** What broker and workers have on `/metrics`, by name as a query has it. */
async function servedNames(): Promise<Set<string>> {
  const [broker, worker] = [new BrokerMetrics(), new WorkerMetrics()];
  const calls = { unsettled: 0, waitingSince: () => undefined };
  const counts = { up: 0, draining: 0, slots: 0, busy: 0, waiting: 0 };
  const none = { idle: 0, preparing: 0, running: 0, sandboxes: 0, outbox: 0, joined: false, reconnects: 0 };
  const ends = [
    broker.watch({ calls, dispatcher: { counts: () => counts, tally: new WorkerTally() } }),
    worker.watch({ worker: { census: () => none }, driver: new MeteredDriver(new FakeDriver()) }),
  ];
  const text = `${await broker.set.text()}\n${await worker.set.text()}`;
  for (const end of ends) end();
  return new Set([...text.matchAll(/^([a-z_]+)(?=[ {])/gm)].map(([, name]) => name ?? ''));
}

const namesIn = (text: string): string[] =>
  [...text.matchAll(/\b(?:panal|process|nodejs)_[a-z_]+/g)].map(([name]) => name);

describe('The files for monitoring', () => {
  it('name only metrics that broker or workers have', async () => {
    const served = await servedNames();
    const named = [...namesIn(read('panal.rules.yml')), ...namesIn(expressions.join('\n'))];
    expect(named.length).to.be.above(30);
    expect(named.filter((name) => !served.has(name))).to.deep.equal([]);
  });

  it('show every metric of Panal on the dashboard, but what adds nothing there', async () => {
    const shown = new Set(expressions.flatMap(namesIn));
    const base = (name: string): string => name.replace(/_(bucket|sum|count)$/, '');
    const missing = [...(await servedNames())]
      .filter((name) => name.startsWith('panal_') && ![...shown].some((each) => base(each) === base(name)))
      .filter((name) => !/^panal_(attempt|broker_connected)/.test(name));
    expect(missing).to.deep.equal([]);
  });

  for (const file of ['docker-compose.yml', 'hub-deployment/faas/docker-compose.yml']) {
    it(`are what the profile of ${file} mounts, where Prometheus and Grafana look`, () => {
      const { services } = composeSchema.parse(load(readFileSync(ROOT + file, 'utf8')));
      const mounts = [services.prometheus, services.grafana].flatMap(({ profiles, volumes }) => {
        expect(profiles).to.deep.equal(['monitoring']);
        return volumes.map((volume) => volume.split(':'));
      });
      for (const [source = ''] of mounts) {
        expect(existsSync(join(ROOT, dirname(file), source)), source).to.equal(true);
      }
      const targetOf = (name: string): string =>
        mounts.find(([source]) => source?.endsWith(`/${name}`) === true)?.[1] ?? '';
      expect(services.prometheus.command).to.include(`--config.file=${targetOf('prometheus.yml')}`);
      expect(dirname(targetOf('panal.rules.yml'))).to.equal(dirname(targetOf('prometheus.yml')));
      const [provider] = providers.parse(load(read('grafana-dashboards.yml'))).providers;
      expect(provider?.options.path).to.equal(dirname(targetOf('grafana-dashboard.json')));
      expect(targetOf('grafana-datasource.yml')).to.match(/^\/etc\/grafana\/provisioning\/datasources\//);
      expect(targetOf('grafana-dashboards.yml')).to.match(/^\/etc\/grafana\/provisioning\/dashboards\//);
      const [source] = datasources.parse(load(read('grafana-datasource.yml'))).datasources;
      expect(source?.url).to.equal('http://prometheus:9090');
    });
  }

  it('place each panel of the dashboard where no other is', () => {
    expect(new Set(panels.map(({ id }) => id))).to.have.property('size', panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos: at } of panels) {
      for (let x = at.x; x < at.x + at.w; x++) {
        for (let y = at.y; y < at.y + at.h; y++) {
          expect(taken.has(`${x},${y}`), title).to.equal(false);
          taken.add(`${x},${y}`);
        }
      }
    }
  });
});

withPromtool("The files for monitoring, to Prometheus's own tool", function () {
  this.slow(2000);
  const folder = temporaryFolder();

  /** Runs promtool, which must be content. */
  async function promtool(...args: string[]): Promise<void> {
    const complaint = await new Promise<string | undefined>((resolve) => {
      execFile('promtool', args, (error, stdout, stderr) =>
        resolve(error === null ? undefined : stdout + stderr),
      );
    });
    expect(complaint).to.equal(undefined);
  }

  it('are well-formed, the queries of the dashboard too', async () => {
    await promtool('check', 'config', join(FOLDER, 'prometheus.yml'));
    const rules = expressions.map((expr, n) => ({
      record: `panel:${n}`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }));
    const file = join(folder(), 'dashboard.yml');
    await writeFile(file, dump({ groups: [{ name: 'dashboard', rules }] }));
    await promtool('check', 'rules', file);
  });

  it('sound the alarm when they should, and no earlier', async () => {
    const silent = (alertname: string, at: string) => ({ eval_time: at, alertname });
    const broker = { instance: 'broker:3333', job: 'panal-broker' };
    const labelled = '{instance="broker:3333",job="panal-broker"}';
    const tests = {
      rule_files: [join(FOLDER, 'panal.rules.yml')],
      evaluation_interval: '15s',
      tests: [
        {
          interval: '15s',
          input_series: [
            { series: `panal_queue_oldest_seconds${labelled}`, values: '0x8 61+15x20' },
            {
              series: `panal_workers{state="up",instance="broker:3333",job="panal-broker"}`,
              values: '2x8 0x8 1x20',
            },
          ],
          alert_rule_test: [
            silent('PanalQueueOld', '4m'),
            silent('PanalNoWorker', '3m'),
            silent('PanalNoWorker', '5m'),
          ],
          promql_expr_test: [
            {
              expr: `ALERTS{alertname="PanalQueueOld",alertstate="firing"}`,
              eval_time: '5m',
              exp_samples: [fired('PanalQueueOld', broker)],
            },
            {
              expr: `ALERTS{alertname="PanalNoWorker",alertstate="firing"}`,
              eval_time: '4m',
              exp_samples: [fired('PanalNoWorker', { ...broker, state: 'up' })],
            },
          ],
        },
      ],
    };
    const file = join(folder(), 'alarms.yml');
    await writeFile(file, dump(tests));
    await promtool('test', 'rules', file);
  });

  const fired = (alertname: string, labels: Record<string, string>) => {
    const all = { alertname, alertstate: 'firing', severity: 'page', ...labels };
    const text = Object.entries(all).map(([name, value]) => `${name}="${value}"`);
    return { labels: `ALERTS{${text.join(',')}}`, value: 1 };
  };
});
