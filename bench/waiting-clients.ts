/**
 * What clients that wait for a long call cost the broker in memory. Part of `npm run bench`; alone:
 * `node --import tsx -C @panal/source bench/waiting-clients.ts`.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfig } from '@panal/protocol';
import { pino } from 'pino';
import { startBroker } from '../broker/src/broker.js';
import { tarGz } from '../testkit/archives.js';
import { freePorts } from '../testkit/ports.js';
import { ScriptedWorker } from '../test/support/scripted-worker.js';
import { eventually } from '../testkit/wait.js';
import { figure, table, type Figure } from './lib/report.js';

const CLIENTS = 1000;
const BODY = '{"roll":"4d6"}';
const ANSWER = '[4,6,4,3]';

interface Memory {
  heapUsed: number;
  rss: number;
}

/** A broker in a process of its own, which tells its memory when asked. */
async function serve(folder: string): Promise<void> {
  const config = readConfig({
    PORT: '0',
    ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${await freePorts()}`,
    FAAS_DATA_DIR: folder,
    // The scripted worker sends no heartbeats.
    FAAS_LEASE_MS: '600000',
  });
  const { url, dispatchPort } = await startBroker(config, pino({ level: 'warn' }));
  process.on('message', () => {
    // Twice: what the first collection finalizes, the second one frees.
    for (let round = 0; round < 2; round++) globalThis.gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    process.send?.({ heapUsed, rss });
  });
  process.send?.({ url, dispatchPort });
}

async function memoryOf(broker: ChildProcess): Promise<Memory> {
  broker.send('memory');
  const [memory] = (await once(broker, 'message')) as [Memory];
  return memory;
}

async function register(url: string): Promise<void> {
  const form = new FormData();
  const archive = tarGz([{ name: 'test.py', content: '' }]);
  form.set('module', new Blob([new Uint8Array(archive)]), 'bundle.tar.gz');
  const answer = await fetch(`${url}/registerFunction/pythonruntime/slow`, { method: 'POST', body: form });
  if (answer.status !== 201) throw new Error(await answer.text());
}

/** A client of `/run` that waits; its whole answer comes with `answered`. */
class Client {
  readonly answered: Promise<string>;
  readonly #socket: Socket;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.write(`POST /run/slow HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
    this.answered = once(this.#socket, 'data').then(([bytes]) => String(bytes));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** KiB of heap, and of resident memory, for each of 1,000 clients that wait; afterwards each gets its answer. */
export async function measureWaitingClients(rounds: number): Promise<{ heap: number[]; rss: number[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'panal-bench-'));
  const broker = fork(fileURLToPath(import.meta.url), [folder], {
    execArgv: [...process.execArgv, '--expose-gc'],
  });
  try {
    const [started] = (await once(broker, 'message')) as [{ url: string; dispatchPort: number }];
    await register(started.url);
    const worker = new ScriptedWorker('bench', started.dispatchPort);
    await worker.join({ slots: CLIENTS });
    worker.say(...Array.from({ length: CLIENTS }, (_, slot) => ({ type: 'ready' as const, slot })));
    const heap: number[] = [];
    const rss: number[] = [];
    // The first round warms up: in the heap, buffers and code that stay are not the clients'.
    for (let round = 0; round <= rounds; round++) {
      const before = await memoryOf(broker);
      const clients = Array.from({ length: CLIENTS }, () => new Client(Number(new URL(started.url).port)));
      await eventually('every call runs', () => worker.invokes.length === CLIENTS);
      const during = await memoryOf(broker);
      for (const invoke of worker.invokes.splice(0))
        await worker.reply(invoke, { free: invoke.slot }, ANSWER);
      for (const client of clients) {
        if (!(await client.answered).endsWith(ANSWER)) throw new Error('a client got no answer');
        client.close();
      }
      // Memory that the process took once it keeps, so only its first growth tells of the clients.
      if (round === 0) rss.push((during.rss - before.rss) / 1024 / CLIENTS);
      else heap.push((during.heapUsed - before.heapUsed) / 1024 / CLIENTS);
    }
    worker.close();
    return { heap, rss };
  } finally {
    broker.kill('SIGKILL');
    await once(broker, 'exit');
    await rm(folder, { recursive: true, force: true });
  }
}

export async function waitingFigures(rounds: number): Promise<Figure[]> {
  const { heap, rss } = await measureWaitingClients(rounds);
  return [
    figure(`heap of the broker for each of ${CLIENTS.toLocaleString('en')} waiting clients`, 'KiB', heap),
    figure('resident memory of the broker for each of the first of them', 'KiB', rss),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder] = process.argv;
  if (folder !== undefined) await serve(folder);
  else console.log(table(await waitingFigures(5)));
}
