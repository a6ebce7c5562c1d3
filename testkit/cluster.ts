import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HttpClient } from './http-client.js';
import type { ManagedProcess } from './managed-process.js';
import { panalProcess, type Build, type Program } from './panal-process.js';
import { THIS_MACHINE, type Place } from './network.js';
import { freePorts } from './ports.js';

export type Settings = Readonly<Record<string, string>>;

export interface ClusterOptions {
  /** `source` by default. */
  build?: Build;
  /** Settings of every process. `FAAS_LOG_LEVEL` has to let `info` through, by which it is seen that they serve. */
  settings?: Settings;
  /** What the broker has in addition; `FAAS_DATA_DIR` is its own folder by default. */
  broker?: Settings;
  /** Where the broker runs: on this machine by default. */
  place?: Place;
  /** Workers that start with it, on this machine: 1 by default. */
  workers?: number;
  /** Options of Node.js for each process. */
  execArgv?: readonly string[];
}

/** A broker and workers as processes, in a folder of their own, and a client of the broker. */
export class Cluster extends HttpClient {
  /** Holds the data folders: `broker`, `worker-0`, `worker-1`, … */
  readonly folder: string;
  readonly broker: ManagedProcess;
  /** The dispatch channel; the two others have the next ports. */
  readonly dispatchAddress: string;
  readonly #options: ClusterOptions;
  readonly #workers: ManagedProcess[] = [];

  private constructor(folder: string, port: number, options: ClusterOptions) {
    const { place = THIS_MACHINE } = options;
    super(`http://${place.address}:${port}`);
    this.folder = folder;
    this.dispatchAddress = `tcp://${place.address}:${port + 1}`;
    this.#options = options;
    const own = {
      HOST: place.address,
      PORT: String(port),
      ZMQ_BIND_ADDRESS: this.dispatchAddress,
      FAAS_DATA_DIR: join(folder, 'broker'),
    };
    this.broker = this.#process('broker', { ...own, ...options.broker }, place);
  }

  /**
   * Starts the broker and its workers, and waits until they serve.
   * @throws Error with the output of a process that ended
   */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-cluster-'));
    const cluster = new Cluster(folder, await freePorts(4), options);
    try {
      await cluster.#start(options.workers ?? 1);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Of the broker. */
  get port(): number {
    return Number(new URL(this.url).port);
  }

  get workers(): readonly ManagedProcess[] {
    return this.#workers;
  }

  /** What all processes said. */
  get output(): string {
    return [this.broker, ...this.#workers].map(({ said }) => said).join('');
  }

  /** Adds a worker, and waits until it is connected. */
  async addWorker(settings: Settings = {}, place: Place = THIS_MACHINE): Promise<ManagedProcess> {
    const index = this.#workers.length;
    const own = {
      ZMQ_CONN_ADDRESS: this.dispatchAddress,
      FAAS_DATA_DIR: join(this.folder, `worker-${index}`),
    };
    const worker = this.#process('worker', { ...own, ...settings }, place);
    this.#workers.push(worker);
    worker.start();
    await worker.says('connected to the broker');
    return worker;
  }

  /** Asks all processes to stop, waits until they have, and removes the folder. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.broker.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #start(workers: number): Promise<void> {
    this.broker.start();
    await this.broker.says('broker listening');
    for (let index = 0; index < workers; index++) await this.addWorker();
  }

  #process(program: Program, own: Settings, { prefix }: Place): ManagedProcess {
    const { build = 'source', settings, execArgv } = this.#options;
    const env = { ...process.env, FAAS_GRACE_MS: '2000', ...settings, ...own };
    return panalProcess(program, { build, env, prefix, channel: true, ...(execArgv && { execArgv }) });
  }
}
