/**
 * Calls per second through a worker alone: a broker stub over real ZeroMQ sockets keeps every mini-worker busy, and
 * the sandboxes are fakes that answer at once. Run: `node --import tsx -C @panal/source bench/worker-throughput.ts`.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { decode, encode, replyMessageSchema, workerMessageSchema, type Envelope } from '@panal/transport';
import { ZmqWorkerTransport, type ZmqBrokerMessage as BrokerMessage } from '@panal/transport/zeromq';
import { pino } from 'pino';
import { Pull, Router } from 'zeromq';
import { FakeDriver } from '../test/support/fake-sandbox.js';
import { runtimeSpec } from '../test/support/specs.js';
import { NoPreload } from '../worker/src/pool/preload.js';
import { Worker } from '../worker/src/execution/worker.js';

const SLOTS = 64;
const CALLS = 200_000;
const WARM_UP = 20_000;

async function serve(address: string): Promise<void> {
  const driver = new FakeDriver();
  const log = pino({ level: 'silent' });
  const worker = new Worker({
    id: 'bench',
    slots: SLOTS,
    memoryMb: 100_000,
    driver,
    info: await driver.open(),
    policy: new NoPreload(),
    budget: { sandboxes: 1000, memoryMb: 1_000_000 },
    parallelStarts: 8,
    maxOutput: 1000,
    maxLogs: 1000,
    brokers: [new ZmqWorkerTransport({ address, keys: undefined, log })],
    link: { heartbeatMs: 1000, leaseMs: 60_000 },
    onWelcome: () => undefined,
    onFailure: (error) => {
      throw error;
    },
    log,
  });
  worker.start();
  process.once('SIGTERM', () => {
    const { user, system } = process.cpuUsage();
    process.stdout.write(
      `worker's processor time: ${((user + system) / 1000 / (CALLS + WARM_UP)).toFixed(4)} ms a call\n`,
    );
    process.exit(0);
  });
}

async function measure(): Promise<void> {
  const router = new Router({ linger: 0 });
  const pull = new Pull({ linger: 0 });
  await router.bind('tcp://127.0.0.1:*');
  await pull.bind('tcp://127.0.0.1:*');
  const address = router.lastEndpoint ?? '';
  const replyPort = Number(pull.lastEndpoint?.split(':').at(-1));
  const child = fork(fileURLToPath(import.meta.url), [address]);
  const spec = runtimeSpec('dice', { lifecycle: 'hot' });
  const input = Buffer.from('{"roll":"4d6"}');
  let [callNum, done, began, busy] = [0, 0, 0, false];
  let peer: Buffer | undefined;
  const waiting: Envelope<BrokerMessage>[] = [];

  const flush = async (): Promise<void> => {
    while (waiting.length > 0 && peer !== undefined) {
      const batch = waiting.splice(0, 1024);
      await router.send([peer, ...encode(batch)]);
    }
    busy = false;
  };
  const say = (message: BrokerMessage, parts: Uint8Array[] = []): void => {
    waiting.push({ message, parts });
    if (busy) return;
    busy = true;
    setImmediate(() => void flush());
  };
  const dispatch = async (): Promise<void> => {
    for await (const [from, ...frames] of router) {
      peer = from;
      for (const { message } of decode(frames, workerMessageSchema)) {
        if (message.type === 'hello') {
          const terms = { protocol: 1, broker: 'bench', heartbeatMs: 1000, leaseMs: 60_000, exposed: false };
          say({ type: 'welcome', ...terms, replyPort, bundlePort: replyPort });
        } else if (message.type === 'ready' && callNum < CALLS + WARM_UP) {
          const first = callNum === 0;
          callNum++;
          const order = { lease: `${callNum}.1.bench`, slot: message.slot, callNum, attempt: 1 };
          const target = { functionId: spec.id, input: 'json' as const, ...(first ? { spec } : {}) };
          say({ type: 'invoke', ...order, ...target }, [input]);
        }
      }
    }
  };
  void dispatch();
  for await (const frames of pull) {
    const batch = decode(frames, replyMessageSchema);
    for (const { message } of batch) {
      if (message.type === 'outcome' && message.status !== 'DONE') throw new Error('a call failed');
    }
    say({ type: 'ack', leases: batch.map(({ message }) => message.lease) });
    if (done < WARM_UP && done + batch.length >= WARM_UP) began = performance.now();
    done += batch.length;
    if (done >= CALLS + WARM_UP) break;
  }
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(`${SLOTS} mini-workers: ${Math.round(CALLS / seconds)} calls/s\n`);
  child.kill('SIGTERM');
  await once(child, 'exit');
  router.close();
  pull.close();
}

const [, , address] = process.argv;
await (address === undefined ? measure() : serve(address));
