import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Config } from '@panal/protocol';
import { z } from 'zod';
import { Supervisor } from './supervisor.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The files that Node.js runs as broker and as worker. */
export interface ClusterModules {
  broker: string;
  worker: string;
}

/** What a broker tells its parent once it serves. */
const listeningSchema = z.object({
  listening: z.string(),
  /** The dispatch channel as it is bound. */
  dispatch: z.string(),
  runtimes: z.array(z.string()),
});
/** What a worker tells its parent once a broker took it. */
const joinedSchema = z.object({ joined: z.object({ sandbox: z.string(), path: z.string() }) });

/** A cluster that serves. */
export interface ReadyCluster {
  /** Where its HTTP API is. */
  url: string;
  runtimes: readonly string[];
  /** The workers of this machine that joined until now. */
  workers: readonly { sandbox: string; path: string }[];
}

export interface LocalClusterOptions {
  config: Config;
  /** What `config` was read from; the children read it again. */
  env: Environment;
  modules: ClusterModules;
  /** Makes what takes the lines that a process puts out; `index` counts processes from 0. */
  linesOf: (name: string, index: number) => (line: string) => void;
  /** The broker serves and has a first worker, if there is to be one. Called once. */
  onReady: (cluster: ReadyCluster) => void;
  /** A process cannot run here, or not with its settings, and said why. */
  onRefusal: (exitCode: number) => void;
}

/** Milliseconds that a process has beyond `FAAS_GRACE_MS` to tidy up before it is killed. */
const TIDY_MS = 5000;

/** Broker and worker as they come with this package. */
export function clusterModules(): ClusterModules {
  return {
    broker: fileURLToPath(import.meta.resolve('@panal/broker/main')),
    worker: fileURLToPath(import.meta.resolve('@panal/worker/main')),
  };
}

/**
 * A broker and `FAAS_WORKERS` workers as child processes, each with its own folder below `FAAS_DATA_DIR`.
 *
 * Each child has an IPC channel. The broker says on it where it serves, and only then the workers are started, at the
 * address that it says: a broker that cannot listen leaves no worker that registers with another one. The end of the
 * channel means that this process is gone, and a child stops by itself then.
 */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #broker: Supervisor;
  #workers: readonly Supervisor[] = [];
  #listening: z.infer<typeof listeningSchema> | undefined;
  readonly #joined = new Map<number, { sandbox: string; path: string }>();
  #ready = false;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.#broker = this.#supervise('broker', 0, options.modules.broker, () => this.#boundAddresses());
  }

  start(): void {
    this.#broker.start();
  }

  /** Stops the workers, which end their running calls, and then the broker, which has to hear how they ended. */
  async stop(): Promise<void> {
    const graceMs = this.#options.config.FAAS_GRACE_MS + TIDY_MS;
    await Promise.all(this.#workers.map((worker) => worker.stop(graceMs)));
    await this.#broker.stop(graceMs);
  }

  /** Ends everything at once. */
  kill(): void {
    for (const each of [this.#broker, ...this.#workers]) each.kill();
  }

  #supervise(name: string, index: number, module: string, settings: () => Environment): Supervisor {
    const { config, env, linesOf, onRefusal } = this.#options;
    const show = linesOf(name, index);
    return new Supervisor({
      spawn: () => {
        const childEnv = { ...env, ...settings(), FAAS_DATA_DIR: join(config.FAAS_DATA_DIR, name) };
        const child = forkModule(module, childEnv, show);
        child.on('message', (message) => this.#heard(index, message));
        return child;
      },
      onDeath: (how, delayMs) => show(`died (${how}); starts again in ${delayMs} ms`),
      onRefusal,
    });
  }

  #heard(index: number, message: unknown): void {
    const listening = listeningSchema.safeParse(message);
    if (listening.success && this.#listening === undefined) {
      this.#listening = listening.data;
      this.#startWorkers(listening.data.dispatch);
    }
    const joined = joinedSchema.safeParse(message);
    if (joined.success) this.#joined.set(index, joined.data.joined);
    this.#tellReady();
  }

  #startWorkers(dispatch: string): void {
    const { config, env, modules } = this.#options;
    const given = env.ZMQ_CONN_ADDRESS ?? '';
    const address = { ZMQ_CONN_ADDRESS: given === '' ? reachable(dispatch) : given };
    this.#workers = Array.from({ length: config.FAAS_WORKERS }, (_, index) =>
      this.#supervise(`worker-${index + 1}`, index + 1, modules.worker, () => address),
    );
    for (const worker of this.#workers) worker.start();
  }

  #tellReady(): void {
    if (this.#ready || this.#listening === undefined) return;
    if (this.#workers.length > 0 && this.#joined.size === 0) return;
    this.#ready = true;
    const { listening: url, runtimes } = this.#listening;
    this.#options.onReady({ url, runtimes, workers: [...this.#joined.values()] });
  }

  /** A broker that is started again takes the ports that it had, also if they were any that were free. */
  #boundAddresses(): Environment {
    if (this.#listening === undefined) return {};
    const { listening: url, dispatch } = this.#listening;
    return { PORT: /\d+$/.exec(url)?.[0], ZMQ_BIND_ADDRESS: dispatch };
  }
}

function forkModule(module: string, env: Environment, show: (line: string) => void): ChildProcess {
  // In a process group of its own a child does not get the terminal's Ctrl-C, so that all are stopped in order.
  const child = fork(module, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream, crlfDelay: Infinity }).on('line', show);
  }
  return child;
}

/** The address at which a worker of this machine finds a broker that binds `address`. */
function reachable(address: string): string {
  return address.replace(/\/\/(\*|0\.0\.0\.0|\[::\]):/, '//127.0.0.1:');
}
