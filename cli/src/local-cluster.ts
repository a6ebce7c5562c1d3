import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Config } from '@panal/protocol';
import { fieldsOf } from './fields.js';
import { Supervisor } from './supervisor.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The files that Node.js runs as broker and as worker. */
export interface ClusterModules {
  broker: string;
  worker: string;
}

export interface LocalClusterOptions {
  config: Config;
  /** What `config` was read from; the children read it again. */
  env: Environment;
  modules: ClusterModules;
  /** Makes what takes the lines that a process puts out; `index` counts processes from 0. */
  linesOf: (name: string, index: number) => (line: string) => void;
  /** The broker serves at `url`. Not called again for one that died and was started anew. */
  onListening: (url: string) => void;
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
 * Each child has an IPC channel. The broker says `{listening: URL}` on it once it serves; its end means that this
 * process is gone, and a child stops by itself then.
 */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #broker: Supervisor;
  readonly #workers: readonly Supervisor[];
  #listening = false;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    const { config, env, modules } = options;
    this.#broker = this.#supervise('broker', 0, modules.broker, {});
    const address = env.ZMQ_CONN_ADDRESS ?? reachable(config.ZMQ_BIND_ADDRESS);
    this.#workers = Array.from({ length: config.FAAS_WORKERS }, (_, index) =>
      this.#supervise(`worker-${index + 1}`, index + 1, modules.worker, { ZMQ_CONN_ADDRESS: address }),
    );
  }

  start(): void {
    this.#broker.start();
    for (const worker of this.#workers) worker.start();
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

  #supervise(name: string, index: number, module: string, settings: Environment): Supervisor {
    const { config, env, linesOf, onRefusal } = this.#options;
    const show = linesOf(name, index);
    const childEnv = { ...env, ...settings, FAAS_DATA_DIR: join(config.FAAS_DATA_DIR, name) };
    return new Supervisor({
      spawn: () => {
        const child = forkModule(module, childEnv, show);
        child.on('message', (message) => this.#heard(message));
        return child;
      },
      onDeath: (how, delayMs) => show(`died (${how}); starts again in ${delayMs} ms`),
      onRefusal,
    });
  }

  #heard(message: unknown): void {
    const url = fieldsOf(message).listening;
    if (this.#listening || typeof url !== 'string') return;
    this.#listening = true;
    this.#options.onListening(url);
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
