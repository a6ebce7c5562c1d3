import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelStore, type CallRecord } from '@panal/db';
import { runtimeSpec, versionOf } from '../../test/support/specs.js';
import { registerBundle, startCluster } from '../lib/cluster.js';
import { load } from '../lib/load.js';
import { compare, type Figure } from '../lib/report.js';

const AT_ONCE = 1000;
const ANSWER = '["ok"]';
const HANDLER = 'def handler(params, context):\n    return ["ok"]\n';

const check = (status: number, body: string): void => {
  if (status !== 200 || body !== ANSWER) throw new Error(`wrong answer: ${status} ${body}`);
};

/** Hot p50 of a broker whose store is full, beside one whose store is empty; both run at the same time, in turn. */
export async function fullStoreFigures(
  rounds: number,
  roundMs: number,
  size: { functions: number; calls: number },
): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'panal-bench-'));
  await fill(join(folder, 'store'), size);
  const clusters = [await startCluster({ broker: { FAAS_DATA_DIR: folder } }), await startCluster()] as const;
  try {
    const p50s: [number[], number[]] = [[], []];
    for (const cluster of clusters) {
      await registerBundle(cluster, 'hot', 'pythonruntime', { 'handler.py': HANDLER }, { lifecycle: 'hot' });
    }
    for (let round = 0; round <= rounds; round++) {
      for (const [index, { port }] of clusters.entries()) {
        const target = { port, path: '/run/hot', body: '{}', connections: 1, check };
        const { p50 } = await load({ ...target, durationMs: roundMs });
        // The first round starts the sandbox.
        if (round > 0) p50s[index === 0 ? 0 : 1].push(p50);
      }
    }
    const { functions, calls } = size;
    const name = `hot p50 with ${functions.toLocaleString('en')} functions and ${calls.toLocaleString('en')} calls stored`;
    return [compare(name, 'ms', p50s[0], { name: 'an empty store', values: p50s[1] })];
  } finally {
    for (const cluster of clusters) await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function fill(location: string, size: { functions: number; calls: number }): Promise<void> {
  const store = new LevelStore(location, { durability: 'os' });
  await store.open();
  await inBatches(size.functions, async (n) => {
    const spec = runtimeSpec(`function-${n}`);
    const record = {
      owner: 'public',
      name: spec.name,
      activeVersion: 1,
      latestVersion: 1,
      createdAt: 1,
      updatedAt: 1,
    };
    await store.functions.putFunction(record, versionOf(spec));
  });
  // Of late, or the broker would be busy removing them.
  const since = Date.now() - size.calls;
  await inBatches(size.calls, async (n) => {
    const record: CallRecord = {
      callNum: n + 1,
      owner: 'public',
      funcName: `function-${n % size.functions}`,
      version: 1,
      functionId: `id-function-${n % size.functions}`,
      input: 'json',
      params: Buffer.from('{"roll":"4d6"}'),
      status: 'DONE',
      attempts: 1,
      acceptedAt: since + n,
      settledAt: since + n + 1,
      result: Buffer.from('[4,6,4,3]'),
    };
    await store.calls.settleCall(record);
  });
  await store.close();
}

async function inBatches(total: number, write: (n: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < total; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, total - from);
    await Promise.all(Array.from({ length: count }, (_, n) => write(from + n)));
  }
}
