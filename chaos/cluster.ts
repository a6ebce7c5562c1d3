import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Network, type Host } from '../testkit/network.js';
import { freePorts } from '../testkit/ports.js';
import { Clock } from './clock.js';
import type { OwnEngine } from './engine.js';
import type { Machine } from './machine.js';
import type { ManagedProcess } from '../testkit/managed-process.js';
import { panalProcess } from '../testkit/panal-process.js';
import { run } from '../testkit/shell.js';
import { SmallDisk } from '../testkit/small-disk.js';
import { eventually } from '../testkit/wait.js';

const WORKERS = 2;
const SLOTS = 3;
const STORE_MB = 256;
const WORKER_MB = 64;

export const HEARTBEAT_MS = 200;
export const LEASE_MS = 1000;

const workersSchema = z.array(
  z.object({
    id: z.string(),
    holds: z.record(z.string(), z.number()),
    miniWorkers: z.array(z.object({ state: z.string() })),
  }),
);

export interface ClusterOptions {
  folder: string;
  driver: 'process' | 'docker';
  machine: Machine;
  engine: OwnEngine | undefined;
}

/** A worker, its host and its disk. */
export interface WorkerPlace {
  readonly process: ManagedProcess;
  readonly host: Host | undefined;
  readonly disk: SmallDisk | undefined;
  readonly data: string;
}

/** A broker and workers as a site would run them: processes, each worker on a host and a disk of its own. */
export class Cluster {
  readonly options: ClusterOptions;
  readonly clock: Clock;
  readonly workers: WorkerPlace[] = [];
  url = '';
  storeDisk: SmallDisk | undefined;
  #network: Network | undefined;
  #broker: ManagedProcess | undefined;
  #zmqPort = 0;

  constructor(options: ClusterOptions) {
    this.options = options;
    this.clock = new Clock(options.machine.faketime, join(options.folder, 'clock'));
  }

  get broker(): ManagedProcess {
    if (this.#broker === undefined) throw new Error('the cluster is not open');
    return this.#broker;
  }

  /** The broker's data folder. */
  get brokerData(): string {
    return join(this.options.folder, 'broker');
  }

  async open(): Promise<void> {
    const { folder, machine, driver } = this.options;
    await mkdir(join(folder, 'bin'), { recursive: true });
    // Bodies must be able to write to the witness, so that this worker finds no bubblewrap that works.
    await writeFile(join(folder, 'bin', 'bwrap'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await this.clock.set(0);
    if (machine.mounts) {
      this.storeDisk = new SmallDisk(this.brokerData, STORE_MB, { losesPower: machine.loops });
      await this.storeDisk.open();
    }
    if (machine.namespaces) this.#network = Network.open();
    const [port, zmqPort] = [await freePorts(), await freePorts()];
    this.#zmqPort = zmqPort;
    this.url = `http://127.0.0.1:${port}`;
    this.#broker = this.brokerAt({ data: this.brokerData, port, zmqPort });
    this.broker.start();
    for (let index = 0; index < WORKERS; index++) this.workers.push(await this.#place(index, driver));
    for (const { process: worker } of this.workers) worker.start();
    await this.joined();
  }

  /** A broker that is not started yet. */
  brokerAt({ data, port, zmqPort }: { data: string; port: number; zmqPort: number }): ManagedProcess {
    const address = this.options.machine.namespaces ? '*' : '127.0.0.1';
    return panalProcess('broker', {
      build: 'compiled',
      env: {
        ...this.#env(),
        ...this.clock.env,
        PORT: String(port),
        ZMQ_BIND_ADDRESS: `tcp://${address}:${zmqPort}`,
        FAAS_DATA_DIR: data,
        FAAS_HEARTBEAT_MS: String(HEARTBEAT_MS),
        FAAS_LEASE_MS: String(LEASE_MS),
        FAAS_BACKOFF_MS: '200',
      },
      log: join(this.options.folder, 'broker.log'),
    });
  }

  /** Resolves once the broker answers, and every worker is joined to it. */
  async joined(ms = 60_000): Promise<void> {
    await eventually('every worker is joined', async () => (await this.view()).length === WORKERS, ms);
  }

  /** What the broker says of its workers; none while it does not answer. */
  async view(): Promise<z.infer<typeof workersSchema>> {
    try {
      const answer = await fetch(`${this.url}/workers`, { signal: AbortSignal.timeout(2000) });
      return workersSchema.parse(await answer.json());
    } catch {
      return [];
    }
  }

  async idOf({ data }: WorkerPlace): Promise<string> {
    return (await readFile(join(data, 'worker-id'), 'utf8')).trim();
  }

  /** Containers, or folders of sandboxes, that there are of a worker. */
  async sandboxesOf(place: WorkerPlace): Promise<string[]> {
    if (this.options.driver === 'process') return await readdir(join(place.data, 'sandboxes'));
    const id = await this.idOf(place);
    return await this.docker('ps', '-aq', '--filter', `label=panal.worker=${id}`);
  }

  /** The lines that a command of the engine answers with. */
  async docker(...args: string[]): Promise<string[]> {
    const { engine } = this.options;
    const host = engine === undefined ? [] : ['-H', engine.host];
    return (await run('docker', ...host, ...args)).split('\n').filter((line) => line !== '');
  }

  async close(): Promise<void> {
    for (const { process: worker } of this.workers) worker.signal('SIGCONT');
    this.#broker?.signal('SIGCONT');
    await Promise.all(this.workers.map(({ process: worker }) => worker.stop()));
    await this.#broker?.stop();
    for (const { disk } of this.workers) await disk?.close();
    this.#network?.close();
    await this.storeDisk?.close();
  }

  async #place(index: number, driver: 'process' | 'docker'): Promise<WorkerPlace> {
    const { folder, machine } = this.options;
    const data = join(folder, `worker-${index}`);
    const host = this.#network?.host();
    // Containers are given folders of it by their engine, which does not see what is mounted later.
    const disk = machine.mounts && driver === 'process' ? new SmallDisk(data, WORKER_MB) : undefined;
    await disk?.open();
    const options = {
      build: 'compiled' as const,
      prefix: host?.prefix ?? [],
      env: {
        ...this.#env(),
        ZMQ_CONN_ADDRESS: `tcp://${this.#network?.address ?? '127.0.0.1'}:${this.#zmqPort}`,
        FAAS_DATA_DIR: data,
        FAAS_SANDBOX: driver,
        FAAS_SLOTS: String(SLOTS),
      },
      log: join(folder, `worker-${index}.log`),
    };
    return { process: panalProcess('worker', options, `worker ${index}`), host, disk, data };
  }

  #env(): Record<string, string> {
    const { folder, engine, driver } = this.options;
    const path = process.env.PATH ?? '';
    return {
      PATH: driver === 'process' ? `${join(folder, 'bin')}:${path}` : path,
      HOME: folder,
      FAAS_LOG_LEVEL: 'info',
      FAAS_GRACE_MS: '4000',
      ...(engine && { DOCKER_HOST: engine.host }),
    };
  }
}
