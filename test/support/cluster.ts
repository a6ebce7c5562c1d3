import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from './ports.js';
import { eventually } from './wait.js';

const source = (room: string): string => fileURLToPath(new URL(`../../${room}/src/main.ts`, import.meta.url));

/** A broker and a worker with the process sandbox, run from source as child processes, in a folder of their own. */
export class SourceCluster {
  url = '';
  /** The dispatch channel. */
  dispatchAddress = '';
  output = '';
  readonly #children: ChildProcess[] = [];
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts both, and waits until they serve. */
  static async start(settings: Record<string, string> = {}): Promise<SourceCluster> {
    const cluster = new SourceCluster(await mkdtemp(join(tmpdir(), 'panal-cluster-')));
    try {
      await cluster.#start(settings);
    } catch (error) {
      await cluster.stop();
      throw new Error(`the cluster did not start; it said: ${cluster.output}`, { cause: error });
    }
    return cluster;
  }

  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #start(settings: Record<string, string>): Promise<void> {
    const address = `tcp://127.0.0.1:${await freePorts()}`;
    const common = { FAAS_SANDBOX: 'process', FAAS_LOG_LEVEL: 'warn', FAAS_GRACE_MS: '2000', ...settings };
    this.dispatchAddress = address;
    const broker = this.#fork('broker', { ...common, PORT: '0', ZMQ_BIND_ADDRESS: address });
    broker.on('message', (message: { listening?: string }) => (this.url = message.listening ?? ''));
    await eventually('the broker listens', () => this.url !== '');
    this.#fork('worker', { ...common, ZMQ_CONN_ADDRESS: address });
    await eventually('the cluster is ready', async () => (await fetch(`${this.url}/readyz`)).ok);
  }

  #fork(room: string, settings: Record<string, string>): ChildProcess {
    const env = { ...process.env, ...settings, FAAS_DATA_DIR: join(this.#folder, room) };
    const child = fork(source(room), { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.#children.push(child);
    return child;
  }
}
