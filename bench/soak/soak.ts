import { randomBytes } from 'node:crypto';
import type { Cluster } from '../../testkit/cluster.js';
import { good, registerBundle, startCluster } from '../lib/cluster.js';
import { load } from '../lib/load.js';
import { filesIn, growth, sandboxesOf, vitalsOf } from './vitals.js';

const ANSWER = '{"sum":[1,2,3]}';
const BODY = '{"numbers":[1,2,3]}';
const HANDLER = 'def handler(params, context):\n    return {"sum": params["numbers"]}\n';
const COMMAND =
  'import json, sys\nprint(json.dumps({"sum": json.load(sys.stdin)["numbers"]}, separators=(",", ":")), end="")\n';

/** Of the time, so much goes to each lifecycle; and how many clients call at once. */
const SHARES = [
  { name: 'hot', share: 0.8, clients: 64 },
  { name: 'warm', share: 0.1, clients: 4 },
  { name: 'fresh', share: 0.1, clients: 4 },
] as const;
/** Functions that come and go in a round, and keep nothing behind; and bytes of their code, that cannot be packed. */
const PASSING = 5;
const CODE_BYTES = 64 * 1024;
/** Limits that are reached in the first half. */
const SETTINGS = { FAAS_CALLS_KEEP: '1000', FAAS_CACHE_MB: '1', FAAS_SANDBOXES: '8' };

/** How much each may grow over the second half of a run: what a heap moves by itself, and no more. */
const ALLOWED: Record<string, number> = {
  'broker heap, MiB': 3,
  'broker resident, MiB': 40,
  'broker descriptors': 8,
  'worker heap, MiB': 3,
  'worker resident, MiB': 40,
  'worker descriptors': 8,
  sandboxes: 4,
  containers: 4,
  'bundles of the broker': 0,
  'cache of the worker, MiB': 1,
};

export interface SoakOptions {
  /** How long it calls, in seconds, in all. */
  seconds: number;
  /** In so many parts; after each it is noted how things are. */
  rounds: number;
  settings?: Record<string, string>;
  say: (line: string) => void;
}

/** One thing that was watched: its value after each round, and by how much it grew over the second half. */
export interface Watched {
  name: string;
  values: readonly number[];
  growth: number;
  flat: boolean;
}

export interface SoakReport {
  calls: number;
  functions: number;
  watched: Watched[];
}

const check = (status: number, body: string): void => {
  if (status !== 200 || body !== ANSWER) throw new Error(`wrong answer: ${status} ${body}`);
};

/**
 * Calls of all lifecycles as fast as they go, while functions are registered, replaced, called and deleted; then looks
 * at whether anything grew that should not.
 */
export async function soak({ seconds, rounds, settings = {}, say }: SoakOptions): Promise<SoakReport> {
  const cluster = await startCluster({
    settings: { ...SETTINGS, ...settings },
    execArgv: ['--expose-gc', '--import', new URL('collect.mjs', import.meta.url).href],
  });
  const seen = new Map<string, number[]>();
  let calls = 0;
  try {
    await registerBundle(cluster, 'hot', 'pythonruntime', { 'handler.py': HANDLER }, { lifecycle: 'hot' });
    for (const lifecycle of ['warm', 'fresh']) {
      await registerBundle(cluster, lifecycle, 'pythonruntime', { 'test.py': COMMAND }, { lifecycle });
    }
    for (let round = 1; round <= rounds; round++) {
      const passing = pass(cluster, round);
      for (const { name, share, clients } of SHARES) {
        const durationMs = (1000 * seconds * share) / rounds;
        const target = { port: cluster.port, path: `/run/${name}`, body: BODY, check };
        calls += (await load({ ...target, connections: clients, durationMs })).requests;
      }
      await passing;
      await note(cluster, seen);
      say(`${round}/${rounds}, ${calls} calls`);
    }
  } finally {
    await cluster.stop();
  }
  const watched = [...seen].map(([name, values]) => {
    const grown = growth(values);
    return { name, values, growth: grown, flat: grown <= (ALLOWED[name] ?? Infinity) };
  });
  return { calls: calls + 2 * PASSING * rounds, functions: 2 * PASSING * rounds, watched };
}

/** Functions with code of their own, each replaced once, called before and after, and deleted. */
async function pass(cluster: Cluster, round: number): Promise<void> {
  for (let each = 0; each < PASSING; each++) {
    const name = `passing-${round}-${each}`;
    for (let version = 1; version <= 2; version++) {
      const files = { 'handler.py': HANDLER, 'data.txt': randomBytes(CODE_BYTES / 2).toString('hex') };
      await registerBundle(cluster, name, 'pythonruntime', files, { lifecycle: 'hot' });
      check(200, await good(cluster.request('POST', `/run/${name}`, BODY)));
    }
    await good(cluster.request('DELETE', `/functions/${name}`));
  }
}

async function note(cluster: Cluster, seen: Map<string, number[]>): Promise<void> {
  const values: Record<string, number> = {};
  for (const [who, child] of [
    ['broker', cluster.broker],
    ['worker', cluster.workers[0]],
  ] as const) {
    if (child === undefined) continue;
    const { heap, resident, descriptors } = await vitalsOf(child);
    values[`${who} heap, MiB`] = heap;
    values[`${who} resident, MiB`] = resident;
    values[`${who} descriptors`] = descriptors;
  }
  const { folders, containers } = await sandboxesOf(`${cluster.folder}/worker-0`);
  values.sandboxes = folders;
  values.containers = containers;
  values['bundles of the broker'] = (await filesIn(`${cluster.folder}/broker/bundles`)).files;
  const cached = await Promise.all(
    ['bundles', 'functions'].map((folder) => filesIn(`${cluster.folder}/worker-0/${folder}`)),
  );
  values['cache of the worker, MiB'] = cached.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20;
  for (const [name, value] of Object.entries(values)) seen.set(name, [...(seen.get(name) ?? []), value]);
}
