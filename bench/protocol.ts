/**
 * What the runtime protocol costs: a call over a channel beside bare bytes over the same socket, and a call of the
 * agent beside a bare fork and exec of the same command by a small process. Medians, in microseconds.
 *
 * Run: node --import tsx --conditions @panal/source bench/protocol.ts
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentPath } from '../worker/src/sandbox/agent.js';
import { Channel } from '../worker/src/contracts/protocol/channel.js';
import { listenIn } from '../worker/src/contracts/protocol/listener.js';
import { request } from '../test/sandbox/requests.js';
import { runtimeSpec } from '../test/support/specs.js';

const ROUNDS = 4000;
const SPAWNS = 500;
const REPEATS = 5;
const body = Buffer.from('{"roll":"4d6"}');
const spec = runtimeSpec('dice');

/** Says READY, then answers whatever comes with the frames of one call. */
const PEER = `
const frame = (type, payload) => {
  const head = Buffer.alloc(5); head.writeUInt32BE(payload.length + 1); head[4] = type;
  return Buffer.concat([head, payload]);
};
const answer = Buffer.concat([frame(0x12, Buffer.from('[4,6,4,3]')), frame(0x14, Buffer.alloc(5))]);
const socket = require('node:net').connect(process.env.FAAS_SOCKET);
socket.write(frame(0x11, Buffer.from('{"protocol":1,"kind":"handler"}')));
socket.on('data', () => socket.write(answer));
`;

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

async function measure(rounds: number, once: () => Promise<unknown>): Promise<number> {
  const medians: number[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      await once();
      times.push((performance.now() - start) * 1000);
    }
    medians.push(median(times));
  }
  return median(medians);
}

async function withProcess(argv: string[], use: (socket: Socket) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'panal-bench-'));
  const [program = '', ...args] = argv;
  let child: ChildProcess | undefined;
  try {
    const listener = await listenIn(folder);
    child = spawn(program, args, { env: { ...process.env, FAAS_SOCKET: listener.path }, stdio: 'ignore' });
    await use(await listener.connection);
  } finally {
    child?.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

function report(what: string, microseconds: number): void {
  console.log(`${what.padEnd(46)} ${microseconds.toFixed(0).padStart(7)} µs`);
}

await withProcess([process.execPath, '-e', PEER], async (socket) => {
  await once(socket, 'data');
  const bare = await measure(ROUNDS, async () => {
    socket.write(body);
    await once(socket, 'data');
  });
  report('bare bytes over a unix socket, and back', bare);
});
await withProcess([process.execPath, '-e', PEER], async (socket) => {
  const channel = new Channel(socket);
  await channel.ready(5000);
  report('hot call over a channel', await measure(ROUNDS, () => channel.run(request({ body }), spec)));
});

const bareSpawn = await measure(1, async () => {
  const script = `i=0; while [ $i -lt ${SPAWNS} ]; do /bin/true; i=$((i+1)); done`;
  execFileSync('/bin/sh', ['-c', script]);
});
report('bare fork and exec of true', bareSpawn / SPAWNS);

const agent = agentPath();
if (agent === undefined) {
  console.log('the agent is not built: node runtimes/agent/build.mjs');
} else {
  await withProcess([agent], async (socket) => {
    const channel = new Channel(socket);
    await channel.ready(5000);
    const warm = await measure(SPAWNS, () => channel.run(request({ body }), spec, ['/bin/true']));
    report('agent call of true', warm);
  });
}
