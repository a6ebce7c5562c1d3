import type { Cluster } from '../../testkit/cluster.js';
import { registerBundle, startCluster } from '../lib/cluster.js';
import { load, type LoadResult } from '../lib/load.js';
import { compare, type Figure } from '../lib/report.js';

const ANSWER = '["ok"]';
const HANDLER = 'def handler(params, context):\n    return ["ok"]\n';
const MODES = ['os', 'fsync', 'strict'] as const;

const check = (status: number, body: string): void => {
  if (status !== 200 || body !== ANSWER) throw new Error(`wrong answer: ${status} ${body}`);
};

/** What calls that a client waits for cost with each `FAAS_DURABILITY`, beside `os`; all brokers run, and take turns. */
export async function durabilityFigures(rounds: number, roundMs: number): Promise<Figure[]> {
  const clusters: Cluster[] = [];
  const figures: Figure[] = [];
  try {
    for (const mode of MODES) {
      const cluster = await startCluster({ settings: { FAAS_DURABILITY: mode } });
      clusters.push(cluster);
      await registerBundle(cluster, 'hot', 'pythonruntime', { 'handler.py': HANDLER }, { lifecycle: 'hot' });
    }
    for (const connections of [1, 64]) {
      const results = clusters.map(() => new Array<LoadResult>());
      for (let round = 0; round <= rounds; round++) {
        for (const [index, { port }] of clusters.entries()) {
          const target = { port, path: '/run/hot', body: '{}', connections, check };
          const result = await load({ ...target, durationMs: roundMs });
          // The first round starts the sandboxes.
          if (round > 0) results[index]?.push(result);
        }
      }
      const [what, unit, of] =
        connections === 1
          ? (['p50', 'ms', (result: LoadResult) => result.p50] as const)
          : (['calls/s', '/s', (result: LoadResult) => result.perSecond] as const);
      const [os = [], ...others] = results.map((each) => each.map(of));
      for (const [index, values] of others.entries()) {
        const name = `hot ${what}, ${connections} connection${connections === 1 ? '' : 's'}, ${MODES[index + 1] ?? ''}`;
        figures.push(compare(name, unit, values, { name: 'os', values: os }));
      }
    }
  } finally {
    for (const cluster of clusters) await cluster.stop();
  }
  return figures;
}
