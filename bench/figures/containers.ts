import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import type { Cluster } from '../../testkit/cluster.js';
import { good, startCluster, whenIdle } from '../lib/cluster.js';
import { load } from '../lib/load.js';
import { compare, type Figure } from '../lib/report.js';

const IMAGE = 'example/reverse-string';
/** How many containers at once the engine is tried with. */
const PARALLEL = [1, 2, 4, 8];

const run = promisify(execFile);

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function dockerRun(): Promise<void> {
  const { stdout } = await run('docker', ['run', '--rm', '--network', 'none', IMAGE, 'hello']);
  check(200, stdout);
}

function check(status: number, body: string): void {
  if (status !== 200 || body !== 'olleh\n') throw new Error(`wrong answer: ${status} ${body}`);
}

/** Calls of an image function, each in a fresh container, beside what the engine itself takes for as much. */
export async function containerFigures(rounds: number, roundMs: number): Promise<Figure[]> {
  execFileSync(fileURLToPath(new URL('../../test/images/build', import.meta.url)));
  return [
    await lone('fresh p50 from the prestarted pool (ratio: times faster)', rounds, {}, (cluster) =>
      whenIdle(cluster, 1),
    ),
    await lone(
      'cold start, image present (ratio: times faster)',
      rounds,
      { FAAS_PRELOAD: 'none' },
      async () => undefined,
    ),
    await sustained(Math.min(3, rounds), roundMs),
  ];
}

/** One call at a time, when `ready` says so. */
async function lone(
  name: string,
  rounds: number,
  settings: Record<string, string>,
  ready: (cluster: Cluster) => Promise<void>,
): Promise<Figure> {
  return await withReverse(settings, async (cluster) => {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await ready(cluster);
      ours.push(
        await timed(async () => check(200, await good(cluster.request('POST', '/run/reverse', 'hello')))),
      );
      theirs.push(await timed(dockerRun));
    }
    const yardstick = { name: '`docker run --rm`', values: theirs };
    return compare(name, 'ms', ours, yardstick, (mine, yard) => yard / mine);
  });
}

/** More calls than any pool holds, as many at once as serves them best. */
async function sustained(rounds: number, roundMs: number): Promise<Figure> {
  return await withReverse({ FAAS_SLOTS: '8' }, async (cluster) => {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const rates = [];
      for (const connections of PARALLEL) {
        const target = { port: cluster.port, path: '/run/reverse', body: 'hello', check };
        rates.push((await load({ ...target, connections, durationMs: roundMs })).perSecond);
      }
      ours.push(Math.max(...rates));
      const cycles = [];
      for (const parallel of PARALLEL) cycles.push(await engineCycles(parallel, roundMs));
      theirs.push(Math.max(...cycles));
    }
    return compare('fresh calls/s past the pool', '/s', ours, {
      name: 'engine create+start+remove',
      values: theirs,
    });
  });
}

/** Containers that the engine alone creates, starts, waits for and removes in a second. */
async function engineCycles(parallel: number, durationMs: number): Promise<number> {
  const docker = new Docker();
  const start = performance.now();
  let cycles = 0;
  const client = async (): Promise<void> => {
    while (performance.now() - start < durationMs) {
      const container = await docker.createContainer({ Image: IMAGE, Cmd: ['hello'], NetworkDisabled: true });
      await container.start();
      await container.wait();
      await container.remove();
      cycles++;
    }
  };
  await Promise.all(Array.from({ length: parallel }, client));
  return cycles / ((performance.now() - start) / 1000);
}

async function withReverse<T>(
  settings: Record<string, string>,
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = await startCluster({ settings: { FAAS_SANDBOX: 'docker', ...settings } });
  try {
    await good(cluster.post('/registerFunction', { functionName: 'reverse', image: IMAGE }));
    check(200, await good(cluster.request('POST', '/run/reverse', 'hello')));
    return await work(cluster);
  } finally {
    await cluster.stop();
  }
}
