import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { tarGz } from '../../test/support/archives.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export interface ClusterOptions {
  workers?: number;
  settings?: Record<string, string>;
  /** The broker's data folder, where it is not to be a new one. */
  brokerData?: string;
  /** Options of Node.js for each process. */
  execArgv?: string[];
}

let lastPort = 24_000;

/** A broker and workers, compiled as in production, as child processes on this machine. */
export class Cluster {
  readonly broker: ChildProcess;
  readonly workers: ChildProcess[] = [];
  readonly port: number;
  /** Where its processes have their data. */
  readonly folder: string;

  private constructor(broker: ChildProcess, port: number, folder: string) {
    this.broker = broker;
    this.port = port;
    this.folder = folder;
  }

  static async start({
    workers = 1,
    settings = {},
    brokerData,
    execArgv = [],
  }: ClusterOptions = {}): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-bench-'));
    const zmq = `tcp://127.0.0.1:${(lastPort += 3)}`;
    const env = {
      ...process.env,
      ZMQ_BIND_ADDRESS: zmq,
      ZMQ_CONN_ADDRESS: zmq,
      FAAS_LOG_LEVEL: 'warn',
      ...settings,
    };
    const run = (module: string, dataDir: string): ChildProcess =>
      fork(at(module), { env: { ...env, PORT: '0', FAAS_DATA_DIR: dataDir }, execArgv });
    const broker = run('broker/dist/main.js', brokerData ?? join(folder, 'broker'));
    const [message] = (await once(broker, 'message')) as [{ listening: string }];
    const cluster = new Cluster(broker, Number(new URL(message.listening).port), folder);
    for (let each = 0; each < workers; each++) {
      cluster.workers.push(run('worker/dist/main.js', join(folder, `worker-${each}`)));
    }
    while ((await cluster.#workers()).length < workers) await pause(20);
    return cluster;
  }

  async stop(): Promise<void> {
    for (const child of [...this.workers, this.broker]) {
      if (child.exitCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Registers a bundle of files on a bundled runtime. */
  async registerBundle(
    name: string,
    runtime: string,
    files: Record<string, string>,
    settings: Record<string, string> = {},
  ): Promise<void> {
    const form = new FormData();
    for (const [key, value] of Object.entries(settings)) form.set(key, value);
    const archive = tarGz(Object.entries(files).map(([file, content]) => ({ name: file, content })));
    form.set('module', new Blob([new Uint8Array(archive)]), 'bundle.tar.gz');
    await this.post(`/registerFunction/${runtime}/${name}`, form);
  }

  async post(path: string, body: object): Promise<string> {
    return await this.postText(path, body instanceof FormData ? body : JSON.stringify(body));
  }

  /** @throws Error where the answer is not a good one. */
  async postText(path: string, body: string | FormData): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, { method: 'POST', body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${text}`);
    return text;
  }

  async get(path: string): Promise<unknown> {
    return await (await fetch(`http://127.0.0.1:${this.port}${path}`)).json();
  }

  async delete(path: string): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, { method: 'DELETE' });
    if (!answer.ok) throw new Error(`DELETE ${path}: ${answer.status} ${await answer.text()}`);
  }

  /** Waits until so many idle sandboxes stand ready in the workers. */
  async whenIdle(sandboxes: number): Promise<void> {
    for (;;) {
      const held = (await this.#workers()).flatMap(({ holds }) => Object.values(holds));
      if (held.reduce((sum, each) => sum + each, 0) >= sandboxes) return;
      await pause(5);
    }
  }

  async #workers(): Promise<{ holds: Record<string, number> }[]> {
    return (await this.get('/workers')) as { holds: Record<string, number> }[];
  }
}

/** Resident memory of a process, in MiB. */
export async function residentMiB({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid ?? 'self'}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
