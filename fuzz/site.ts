import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedProcess } from '../testkit/managed-process.js';
import { panalProcess, type Program } from '../testkit/panal-process.js';
import { eventually } from '../testkit/wait.js';
import { tarGz } from '../testkit/archives.js';
import { freePorts } from '../testkit/ports.js';
import type { Vitals } from './target.js';
import { vitalsOf } from './vitals.js';

const HANDLER = `
def handler(params, context):
    print("called")
    return params
`;
const SCRIPT = `
import os, sys, time
print("called", file=sys.stderr, flush=True)
time.sleep(float(os.environ.get("SLEEP", "0")))
sys.stdout.write(sys.stdin.read())
`;

const OPERATOR = 'operator-'.repeat(4);
const CANARY_MS = 20_000;

export interface SiteOptions {
  folder: string;
  /** Whether a worker joins the broker. */
  worker?: boolean;
  /** The address at which the worker finds the broker. */
  workerConnects?: string;
  /** Is waited for before the worker starts, with the port of the first channel. */
  beforeWorker?: (zmqPort: number) => Promise<void>;
  settings?: Record<string, string>;
  /** Descriptors that the broker may have open; as many as this process by default. */
  descriptors?: number;
}

/** A broker, and a worker with sandboxes of processes, as real processes that are not to be impressed. */
export class Site {
  readonly broker: ManagedProcess;
  readonly worker: ManagedProcess | undefined;
  readonly port: number;
  readonly zmqPort: number;
  readonly #folder: string;
  #canaryToken = '';

  private constructor(options: SiteOptions, port: number, zmqPort: number) {
    const { folder, worker = true, workerConnects = '127.0.0.1', settings } = options;
    this.port = port;
    this.zmqPort = zmqPort;
    this.#folder = folder;
    const common = {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      FAAS_LOG_LEVEL: 'error',
      // What is kept for good ends the process.
      NODE_OPTIONS: '--max-old-space-size=192',
    };
    const brokerEnv = {
      PORT: String(port),
      ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${zmqPort}`,
      FAAS_DATA_DIR: join(folder, 'broker'),
      FAAS_DURABILITY: 'os',
      FAAS_HEARTBEAT_MS: '100',
      FAAS_LEASE_MS: '1000',
      FAAS_BACKOFF_MS: '20',
      FAAS_ATTEMPTS: '100',
      FAAS_OPERATOR_TOKEN: OPERATOR,
    };
    const brokerSettings = { ...common, ...brokerEnv, ...settings };
    this.broker = managed('broker', brokerSettings, folder, withDescriptors(options.descriptors));
    const workerEnv = {
      ZMQ_CONN_ADDRESS: `tcp://${workerConnects}:${zmqPort}`,
      FAAS_DATA_DIR: join(folder, 'worker'),
      FAAS_SANDBOX: 'process',
      FAAS_SLOTS: '4',
    };
    this.worker = worker ? managed('worker', { ...common, ...workerEnv, ...settings }, folder) : undefined;
  }

  /** Starts both, with a user of whom hostile clients do not know, and a function of his. */
  static async open(options: SiteOptions): Promise<Site> {
    await mkdir(options.folder, { recursive: true });
    const site = new Site(options, await freePorts(), await freePorts());
    try {
      await site.#open(options.beforeWorker);
    } catch (error) {
      await site.close();
      throw error;
    }
    return site;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get authorization(): { Authorization: string } {
    return { Authorization: `Bearer ${this.#canaryToken}` };
  }

  async register(
    name: string,
    settings: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<void> {
    const form = new FormData();
    for (const [field, value] of Object.entries(settings)) form.set(field, value);
    const files = [
      { name: 'handler.py', content: HANDLER },
      { name: 'test.py', content: SCRIPT },
    ];
    form.set('module', new Blob([new Uint8Array(tarGz(files))]), 'module.tar.gz');
    const path = `/registerFunction/pythonruntime/${name}`;
    const answer = await fetch(this.url + path, { method: 'POST', body: form, headers });
    if (answer.status !== 201) throw new Error(`${name} was not registered: ${await answer.text()}`);
  }

  /** @throws Error unless both live, have complained of nothing, and run a function as they should */
  async canary(): Promise<void> {
    this.checkSilence();
    const token = JSON.stringify({ token: randomBytes(8).toString('hex') });
    if (this.worker === undefined) {
      const answer = await fetch(`${this.url}/functions`, {
        headers: this.authorization,
        signal: AbortSignal.timeout(CANARY_MS),
      });
      if (!answer.ok) throw new Error(`the canary got ${answer.status}: ${await answer.text()}`);
      await answer.text();
      return;
    }
    const answer = await fetch(`${this.url}/run/canary`, {
      method: 'POST',
      body: token,
      headers: this.authorization,
      signal: AbortSignal.timeout(CANARY_MS),
    });
    const result = await answer.text();
    if (result !== token) throw new Error(`the canary got ${answer.status}: ${result}`);
  }

  /** @throws Error where one of them ended, or said something: only errors are logged */
  checkSilence(): void {
    for (const each of this.#processes()) {
      if (each.said !== '') throw new Error(`the ${each.name} said: ${each.said.slice(0, 2000)}`);
      if (!each.alive) throw new Error(`the ${each.name} has ended`);
    }
  }

  async vitals(): Promise<Vitals> {
    const { pid } = this.broker;
    if (pid === undefined) throw new Error('the broker has ended');
    const seen = await vitalsOf(pid, `${this.url}/metrics`);
    // A file of an upload that is over is as good as a handle.
    const uploads = await readdir(join(this.#folder, 'broker', 'uploads'));
    return { ...seen, handles: seen.handles + uploads.length };
  }

  /** Lets both end by themselves. */
  async stop(): Promise<void> {
    await this.worker?.stop();
    await this.broker.stop();
  }

  async close(): Promise<void> {
    // Nothing of it is of use to anybody afterwards: no need to wait for what still runs.
    await Promise.all(this.#processes().map((each) => each.kill()));
  }

  #processes(): ManagedProcess[] {
    return this.worker === undefined ? [this.broker] : [this.broker, this.worker];
  }

  async #open(beforeWorker?: SiteOptions['beforeWorker']): Promise<void> {
    this.broker.start();
    await eventually('the broker listens', () => this.#answers('/healthz'));
    const credentials = { email: 'canary@example.org', password: randomBytes(12).toString('hex') };
    for (const path of ['/users', '/users/token']) {
      const answer = await fetch(this.url + path, { method: 'POST', body: JSON.stringify(credentials) });
      const json = (await answer.json()) as { token?: string };
      this.#canaryToken = json.token ?? '';
    }
    if (this.worker === undefined) return;
    await beforeWorker?.(this.zmqPort);
    this.worker.start();
    await eventually('the worker has joined', () => this.#answers('/readyz'));
    await this.register('canary', { lifecycle: 'hot' }, this.authorization);
    await this.canary();
  }

  async #answers(path: string): Promise<boolean> {
    if (!this.broker.alive) throw new Error(`the broker did not start: ${this.broker.said}`);
    return await fetch(this.url + path).then(
      async (answer) => {
        await answer.text();
        return answer.ok;
      },
      () => false,
    );
  }
}

/** What stands before a command that may have so many descriptors open. */
export function withDescriptors(descriptors: number | undefined): string[] {
  return descriptors === undefined ? [] : ['sh', '-c', 'ulimit -n "$0" && exec "$@"', String(descriptors)];
}

function managed(
  program: Program,
  env: Record<string, string>,
  folder: string,
  prefix: readonly string[] = [],
): ManagedProcess {
  return panalProcess(program, { build: 'compiled', env, prefix, log: join(folder, `${program}.log`) });
}
