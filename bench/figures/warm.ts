import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { good, registerBundle, startCluster } from '../lib/cluster.js';
import { load } from '../lib/load.js';
import { compare, type Figure } from '../lib/report.js';

const RUNS = 300;
const SOURCE = fileURLToPath(new URL('../yardsticks/fork-exec.c', import.meta.url));

/** A process for each call in a kept container, beside starting the same command with nothing around it. */
export async function warmFigures(rounds: number, roundMs: number): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'panal-bench-'));
  const forkExec = join(folder, 'fork-exec');
  execFileSync('cc', ['-O2', '-o', forkExec, SOURCE]);
  const cluster = await startCluster();
  try {
    await good(
      cluster.post('/registerRuntime', {
        name: 'shell',
        image: 'busybox:latest',
        path: '/ws',
        run: 'echo done #',
      }),
    );
    await registerBundle(cluster, 'echo', 'shell', { 'unused.txt': '' });
    const check = (status: number, body: string): void => {
      if (status !== 200 || body !== 'done\n') throw new Error(`wrong answer: ${status} ${body}`);
    };
    const target = { port: cluster.port, path: '/run/echo', body: '{}', connections: 1, check };
    await load({ ...target, durationMs: roundMs });
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push((await load({ ...target, durationMs: roundMs })).p50);
      const command = ['/bin/sh', '-c', 'echo done # "$@"', 'sh', '{}'];
      const out = execFileSync(forkExec, [String(RUNS), ...command], { encoding: 'utf8', maxBuffer: 1e8 });
      theirs.push(Number(out.trim().split('\n').at(-1)) / 1000);
    }
    const yardstick = { name: 'fork+exec of the same command', values: theirs };
    return [
      compare('warm p50, 1 connection (ratio: ms more)', 'ms', ours, yardstick, (mine, yard) => mine - yard),
    ];
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
