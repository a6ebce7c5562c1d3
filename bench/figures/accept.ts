import type { Cluster } from '../../testkit/cluster.js';
import { good, registerBundle, startCluster } from '../lib/cluster.js';
import { load, type LoadResult } from '../lib/load.js';
import { compare, type Figure } from '../lib/report.js';
import { startKoa } from '../lib/yardsticks.js';

const CONNECTIONS = 64;
const BODY = '{"funcName":"later","params":{"numbers":[1,2,3]}}';

/**
 * Calls accepted in a second, each on disk (fsync) before its client hears of it, beside a bare Koa route. The calls
 * wait behind one that runs, so that only their acceptance is measured; afterwards every number is looked up.
 */
export async function acceptFigures(rounds: number, roundMs: number): Promise<Figure[]> {
  const koa = await startKoa(202, '{"callNum":123456,"status":"PENDING"}');
  const cluster = await startCluster({ settings: { FAAS_DURABILITY: 'fsync', FAAS_MAX_QUEUE: '10000000' } });
  const numbers = new Set<number>();
  const check = (status: number, body: string): void => {
    const { callNum } = JSON.parse(body) as { callNum: number };
    if (status !== 202 || callNum < 1) throw new Error(`wrong answer: ${status} ${body}`);
    numbers.add(callNum);
  };
  try {
    const code = 'import time\ntime.sleep(3600)\n';
    const settings = { maxConcurrency: '1', timeoutMs: '3600000' };
    await registerBundle(cluster, 'later', 'pythonruntime', { 'test.py': code }, settings);
    const measure = (port: number, path: string): Promise<LoadResult> =>
      load({ port, path, body: BODY, connections: CONNECTIONS, durationMs: roundMs, check });
    await measure(koa.port, '/run/later');
    numbers.clear();
    let accepted = (await measure(cluster.port, '/invokeFunction')).requests;
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const result = await measure(cluster.port, '/invokeFunction');
      accepted += result.requests;
      if (numbers.size !== accepted)
        throw new Error(`${accepted} calls accepted under ${numbers.size} numbers`);
      const before = new Set(numbers);
      ours.push(result.perSecond);
      theirs.push((await measure(koa.port, '/run/later')).perSecond);
      numbers.clear();
      for (const each of before) numbers.add(each);
    }
    await requireStored(cluster, accepted);
    const yardstick = { name: 'bare Koa', values: theirs };
    return [compare(`async accepts/s, fsync, ${CONNECTIONS} connections`, '/s', ours, yardstick)];
  } finally {
    await cluster.stop();
    await koa.stop();
  }
}

/** Every call that was accepted is listed, once. */
async function requireStored(cluster: Cluster, accepted: number): Promise<void> {
  let before = Infinity;
  let listed = 0;
  for (;;) {
    const page = JSON.parse(
      await good(
        cluster.request('GET', `/calls?limit=1000${before === Infinity ? '' : `&before=${before}`}`),
      ),
    ) as Record<string, { callNum: number }>;
    const calls = Object.values(page);
    if (calls.length === 0) break;
    listed += calls.length;
    before = Math.min(...calls.map(({ callNum }) => callNum));
  }
  if (listed !== accepted) throw new Error(`${accepted} calls were accepted, ${listed} are stored`);
}
