import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { at, THIS_MACHINE, type Place } from '../support/network.js';
import { freePorts } from '../support/ports.js';
import { eventually } from '../support/wait.js';
import { HttpClient } from './http-client.js';

const source = (room: string): string => fileURLToPath(new URL(`../../${room}/src/main.ts`, import.meta.url));

/** A broker or a worker, run from source. */
export class RoomProcess {
  output = '';
  readonly #child: ChildProcess;

  constructor(room: string, settings: Record<string, string>, place: Place) {
    const env = { ...process.env, FAAS_GRACE_MS: '2000', ...settings };
    const [execPath, execArgv] = at(place, [process.execPath, ...process.execArgv]);
    this.#child = fork(source(room), { env, execPath, execArgv, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
  }

  /** Waits until it has logged a line with this text. */
  async says(text: string): Promise<void> {
    await eventually(
      `it says ${text}`,
      () => {
        if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.output}`);
        return this.output.includes(text);
      },
      60_000,
    );
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
    return this.#child.exitCode;
  }
}

/** A broker, and workers on hosts and container engines of a test's choice; all of it from source. */
export class EngineCluster extends HttpClient {
  /** Has the data folders of all of it. */
  readonly folder: string;
  readonly #address: string;
  readonly #broker: RoomProcess;
  readonly #workers: RoomProcess[] = [];

  private constructor(folder: string, port: number, settings: Record<string, string>, place: Place) {
    super(`http://${place.address}:${port}`);
    this.folder = folder;
    this.#address = `tcp://${place.address}:${port + 1}`;
    const own = {
      HOST: place.address,
      PORT: String(port),
      ZMQ_BIND_ADDRESS: this.#address,
      FAAS_DATA_DIR: join(folder, 'broker'),
    };
    this.#broker = new RoomProcess('broker', { ...own, ...settings }, place);
  }

  /** @param place of the broker */
  static async start(
    settings: Record<string, string> = {},
    place: Place = THIS_MACHINE,
  ): Promise<EngineCluster> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-engines-'));
    // The HTTP port, and from the next one on the three channels.
    const port = await freePorts(4);
    const cluster = new EngineCluster(folder, port, settings, place);
    await cluster.#broker.says('broker listening');
    return cluster;
  }

  /** Adds a worker; `DOCKER_HOST` among its settings names its engine. */
  async worker(settings: Record<string, string>, place: Place = THIS_MACHINE): Promise<RoomProcess> {
    const own = {
      ZMQ_CONN_ADDRESS: this.#address,
      FAAS_DATA_DIR: join(this.folder, `worker-${this.#workers.length}`),
      FAAS_SANDBOX: 'docker',
      FAAS_PRELOAD: 'none',
    };
    const worker = new RoomProcess('worker', { ...own, ...settings }, place);
    this.#workers.push(worker);
    await worker.says('connected to the broker');
    return worker;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.#broker.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
