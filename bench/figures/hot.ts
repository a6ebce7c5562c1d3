import type { Cluster } from '../../testkit/cluster.js';
import { good, registerBundle, residentMiB, startCluster } from '../lib/cluster.js';
import { load, type LoadResult } from '../lib/load.js';
import { compare, figure, type Figure } from '../lib/report.js';
import { processesOf, processorTime, type ProcessGroups } from '../lib/processor-time.js';
import { median } from '../lib/stats.js';
import { startCorridor, startKoa } from '../lib/yardsticks.js';

const ANSWER = '{"sum":[1,2,3]}';
const BODY = '{"numbers":[1,2,3]}';
const HANDLER = 'def handler(params, context):\n    return {"sum": params["numbers"]}\n';

const check = (status: number, body: string): void => {
  if (status !== 200 || body !== ANSWER) throw new Error(`wrong answer: ${status} ${body}`);
};

/** A round: what the load saw, and the processor time that each group of processes took, in ms. */
interface Round extends LoadResult {
  processorMs: Record<string, number>;
}

const microsOf =
  (group: string) =>
  ({ processorMs, requests }: Round): number =>
    (1000 * (processorMs[group] ?? NaN)) / requests;

const allMicros = ({ processorMs, requests }: Round): number =>
  (1000 * Object.values(processorMs).reduce((sum, each) => sum + each, 0)) / requests;

const QUANTITIES: readonly [what: string, unit: string, of: (round: Round) => number][] = [
  ['calls/s', '/s', ({ perSecond }) => perSecond],
  ['p50', 'ms', ({ p50 }) => p50],
  ['p99', 'ms', ({ p99 }) => p99],
  ['processor time a call, all processes', 'µs', allMicros],
];

/** Hot calls beside a bare Koa route and the bare corridor, at several loads; the memory and phases that go with them. */
export async function hotFigures(rounds: number, roundMs: number): Promise<Figure[]> {
  const yardsticks = [
    { name: 'bare Koa', ...(await startKoa(200, ANSWER)) },
    { name: 'the bare corridor', ...(await startCorridor(HANDLER)) },
  ];
  const cluster = await startCluster();
  const figures: Figure[] = [];
  try {
    const [worker] = cluster.workers;
    if (worker === undefined) throw new Error('a worker was asked for');
    const atRest = [await residentMiB(cluster.broker), await residentMiB(worker)];
    await registerBundle(cluster, 'hot', 'pythonruntime', { 'handler.py': HANDLER }, { lifecycle: 'hot' });
    const target = { path: '/run/hot', body: BODY, check };
    const measure = (port: number, connections: number): Promise<LoadResult> =>
      load({ ...target, port, connections, durationMs: roundMs });
    // Sandboxes are started, and code is compiled, before anything counts.
    for (const { port } of [cluster, ...yardsticks]) await measure(port, 64);
    const groups = [
      await processesOf(cluster),
      ...(await Promise.all(yardsticks.map(async ({ processes }) => ({ all: await processes() })))),
    ];
    for (const connections of [1, 16, 64]) {
      const [ours, ...theirs] = await inTurn(
        [cluster, ...yardsticks].map(({ port }, index) => ({ port, groups: groups[index] ?? {} })),
        rounds,
        (port) => measure(port, connections),
      );
      if (ours === undefined) throw new Error('the cluster was not measured');
      const clients = `${connections} connection${connections === 1 ? '' : 's'}`;
      const beside = theirs.map((results, index) => ({ name: yardsticks[index]?.name ?? '', results }));
      for (const [what, unit, of] of QUANTITIES) {
        for (const { name, results } of beside)
          figures.push(
            compare(`hot ${what}, ${clients}`, unit, ours.map(of), { name, values: results.map(of) }),
          );
      }
      for (const group of ['broker', 'worker', 'functions'])
        figures.push(
          figure(`processor time of a hot call, ${group}, ${clients}`, 'µs', ours.map(microsOf(group))),
        );
    }
    const underLoad = [await residentMiB(cluster.broker), await residentMiB(worker)];
    figures.push(...memory('at rest', atRest), ...memory('after load', underLoad));
    figures.push(...(await phases(cluster)));
  } finally {
    await cluster.stop();
    await Promise.all(yardsticks.map(({ stop }) => stop()));
  }
  return figures;
}

/** Measures each target once a round, all in turn. */
async function inTurn(
  targets: readonly { port: number; groups: ProcessGroups }[],
  rounds: number,
  measure: (port: number) => Promise<LoadResult>,
): Promise<Round[][]> {
  const results = targets.map(() => new Array<Round>());
  for (let round = 0; round < rounds; round++) {
    for (const [index, { port, groups }] of targets.entries()) {
      let seen: LoadResult | undefined;
      const processorMs = await processorTime(groups, async () => {
        seen = await measure(port);
      });
      if (seen !== undefined) results[index]?.push({ ...seen, processorMs });
    }
  }
  return results;
}

function memory(when: string, [broker = NaN, worker = NaN]: number[]): Figure[] {
  return [
    figure(`memory of the broker ${when}`, 'MiB', [broker]),
    figure(`memory of the worker ${when}`, 'MiB', [worker]),
  ];
}

/** Where the time of the last calls went, by their own `timings`. */
async function phases(cluster: Cluster): Promise<Figure[]> {
  await load({ port: cluster.port, path: '/run/hot', body: BODY, connections: 1, durationMs: 500, check });
  const calls = Object.values(
    JSON.parse(await good(cluster.request('GET', '/calls?limit=200'))) as Record<
      string,
      { timings: Record<string, number> }
    >,
  );
  return ['queued', 'prepare', 'run', 'total'].map((phase) =>
    figure(`phase of a hot call: ${phase}`, 'ms', [
      median(calls.map(({ timings }) => timings[phase] ?? NaN)),
    ]),
  );
}
