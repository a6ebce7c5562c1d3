import type { Cluster } from '../../testkit/cluster.js';
import { good, registerBundle, residentMiB, startCluster } from '../lib/cluster.js';
import { load, type LoadResult } from '../lib/load.js';
import { compare, figure, type Figure } from '../lib/report.js';
import { median } from '../lib/stats.js';
import { startCorridor, startKoa } from '../lib/yardsticks.js';

const ANSWER = '{"sum":[1,2,3]}';
const BODY = '{"numbers":[1,2,3]}';
const HANDLER = 'def handler(params, context):\n    return {"sum": params["numbers"]}\n';

const check = (status: number, body: string): void => {
  if (status !== 200 || body !== ANSWER) throw new Error(`wrong answer: ${status} ${body}`);
};

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
    for (const connections of [1, 16, 64]) {
      const ours: LoadResult[] = [];
      const theirs = yardsticks.map(({ name, port }) => ({ name, port, results: new Array<LoadResult>() }));
      for (let round = 0; round < rounds; round++) {
        ours.push(await measure(cluster.port, connections));
        for (const { port, results } of theirs) results.push(await measure(port, connections));
      }
      for (const [what, unit, of] of [
        ['calls/s', '/s', (result: LoadResult) => result.perSecond],
        ['p50', 'ms', (result: LoadResult) => result.p50],
        ['p99', 'ms', (result: LoadResult) => result.p99],
      ] as const) {
        const name = `hot ${what}, ${connections} connection${connections === 1 ? '' : 's'}`;
        for (const { name: yardstick, results } of theirs)
          figures.push(compare(name, unit, ours.map(of), { name: yardstick, values: results.map(of) }));
      }
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
