import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { followProgress } from '../../worker/src/engine/progress.js';
import { at, THIS_MACHINE, type Place } from '../../testkit/network.js';
import { eventually } from '../../testkit/wait.js';

export interface SecondEngineOptions {
  /** Where it runs; its socket is reached from everywhere. */
  place?: Place;
  /** Address of a registry on another host, with which it needs no TLS. */
  registry?: string;
  /** Whether it sets up a firewall, and forwards: on a host of its own, where nobody else is touched. */
  firewall?: boolean;
  /** An OCI runtime by another name: `NAME=PATH`. */
  runtime?: string;
}

/** A container engine as another machine would have it: with images, containers and a bridge of its own. */
export class SecondEngine {
  readonly docker: Docker;
  /** For `DOCKER_HOST`. */
  readonly host: string;
  readonly #folder: string;
  readonly #place: Place;
  readonly #bridge: string;
  readonly #child: ChildProcess;

  private constructor(
    folder: string,
    { place = THIS_MACHINE, registry, firewall = false, runtime }: SecondEngineOptions,
  ) {
    const subnet = randomInt(256);
    const socketPath = join(folder, 'engine.sock');
    this.#folder = folder;
    this.#place = place;
    this.#bridge = `panaltest${subnet}`;
    this.host = `unix://${socketPath}`;
    this.docker = new Docker({ socketPath });
    this.#ip('link', 'add', this.#bridge, 'type', 'bridge');
    this.#ip('address', 'add', `10.215.${subnet}.1/24`, 'dev', this.#bridge);
    this.#ip('link', 'set', this.#bridge, 'up');
    const [program, args] = at(place, [
      'dockerd',
      `--host=${this.host}`,
      `--data-root=${join(folder, 'data')}`,
      `--exec-root=${join(folder, 'run')}`,
      `--pidfile=${join(folder, 'engine.pid')}`,
      // Where the machine has a containerd that engines share.
      '--containerd-namespace=panal-test',
      // An engine that is told to have no bridge removes the one of that name that another has.
      `--bridge=${this.#bridge}`,
      ...(firewall ? [] : ['--iptables=false', '--ip-forward=false', '--ip-masq=false']),
      ...(runtime === undefined ? [] : [`--add-runtime=${runtime}`]),
      ...(registry === undefined ? [] : [`--insecure-registry=${registry}`]),
    ]);
    this.#child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.pipe(createWriteStream(join(folder, 'log')));
  }

  static async start(options: SecondEngineOptions = {}): Promise<SecondEngine> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-engine-'));
    const engine = new SecondEngine(folder, options);
    try {
      await eventually('the second engine answers', () => engine.#answers(), 60_000);
    } catch (error) {
      const log = await readFile(join(folder, 'log'), 'utf8');
      await engine.stop();
      throw new Error(`the second engine did not start; it said: ${log}`, { cause: error });
    }
    return engine;
  }

  /** Gives it an image that another engine has. */
  async load(image: string, from = new Docker()): Promise<void> {
    await followProgress(await this.docker.loadImage(await from.getImage(image).get()));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      // Their interfaces would outlive it.
      await this.docker.pruneNetworks().catch(() => undefined);
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
    this.#ip('link', 'delete', this.#bridge);
    await rm(this.#folder, { recursive: true, force: true });
  }

  #ip(...args: string[]): void {
    execFileSync(...at(this.#place, ['ip', ...args]));
  }

  async #answers(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error(`dockerd ended with code ${this.#child.exitCode}`);
    return await this.docker.ping().then(
      () => true,
      () => false,
    );
  }
}
