import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ManagedProcess } from '../testkit/managed-process.js';
import { allProcesses, kill } from '../testkit/processes.js';
import { run, works } from '../testkit/shell.js';
import { eventually } from '../testkit/wait.js';

/** Images that the functions need, brought over from the machine's own engine. */
const IMAGES = ['pythonruntime:latest', 'noderuntime:latest', 'python:3.12-slim', 'node:20-bookworm-slim'];

/** Nothing that Kubernetes asks for. */
const CONTAINERD = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n';

/**
 * A container engine of the harness's own, so that killing it harms nobody else. As on most machines its containers are
 * looked after by a containerd beside it, which lives on.
 */
export class OwnEngine {
  readonly host: string;
  /** What containers call this machine. */
  readonly gateway: string;
  readonly #folder: string;
  readonly #bridge: string;
  readonly #containerd: ManagedProcess;
  readonly #daemon: ManagedProcess;

  /** @param id tells this run of the harness from others, in at most 6 characters */
  constructor(folder: string, id: string) {
    const third = Number.parseInt(id, 36) % 250;
    const socket = join(folder, 'containerd.sock');
    const env = { PATH: process.env.PATH ?? '', HOME: folder };
    this.#folder = folder;
    this.#bridge = `chb${id}`;
    this.host = `unix://${join(folder, 'engine.sock')}`;
    this.gateway = `10.214.${third}.1`;
    this.#containerd = new ManagedProcess('containerd', {
      argv: [
        'containerd',
        `--config=${join(folder, 'containerd.toml')}`,
        `--address=${socket}`,
        `--root=${join(folder, 'containerd')}`,
        `--state=${join(folder, 'containerd-run')}`,
      ],
      env,
      log: join(folder, 'containerd.log'),
    });
    this.#daemon = new ManagedProcess('engine', {
      argv: [
        'dockerd',
        `--host=${this.host}`,
        `--containerd=${socket}`,
        `--data-root=${join(folder, 'engine')}`,
        `--exec-root=${join(folder, 'engine-run')}`,
        `--pidfile=${join(folder, 'engine.pid')}`,
        `--bridge=${this.#bridge}`,
        `--fixed-cidr=10.214.${third}.0/24`,
        '--iptables=false',
        '--ip-masq=false',
      ],
      env,
      log: join(folder, 'engine.log'),
    });
  }

  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await run('ip', 'link', 'add', this.#bridge, 'type', 'bridge');
    // A bridge that is given no address of its own takes the lowest of its ports, another one with each container.
    await run('ip', 'link', 'set', this.#bridge, 'address', '02:42:0a:d6:00:01');
    await run('ip', 'addr', 'add', `${this.gateway}/24`, 'dev', this.#bridge);
    await run('ip', 'link', 'set', this.#bridge, 'up');
    await writeFile(join(this.#folder, 'containerd.toml'), CONTAINERD);
    this.#containerd.start();
    await this.start();
    const images: string[] = [];
    for (const image of IMAGES) if (await works('docker', 'image', 'inspect', image)) images.push(image);
    const archive = join(this.#folder, 'images.tar');
    await run('docker', 'save', '-o', archive, ...images);
    await run('docker', '-H', this.host, 'load', '-i', archive);
    await rm(archive);
  }

  async start(): Promise<void> {
    await rm(join(this.#folder, 'engine.pid'), { force: true });
    this.#daemon.start();
    await eventually('the engine answers', () => works('docker', '-H', this.host, 'version'), 60_000);
  }

  async kill(): Promise<void> {
    await this.#daemon.kill();
  }

  async close(): Promise<void> {
    // Where it never came up there is nothing to remove.
    const left = await this.containers().catch(() => []);
    if (left.length > 0) await works('docker', '-H', this.host, 'rm', '-f', ...left);
    await this.#daemon.stop();
    await this.#containerd.stop();
    await works('ip', 'link', 'del', this.#bridge);
    await this.#sweep();
  }

  /** Containers that an engine was killed over, and their file systems. */
  async #sweep(): Promise<void> {
    for (const [pid, { command }] of await allProcesses()) {
      // The path is of this run alone.
      if (command.includes(join(this.#folder, 'containerd.sock'))) kill(pid);
    }
    const mounts = (await readFile('/proc/mounts', 'utf8'))
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '');
    for (const mount of mounts.filter((path) => path.startsWith(`${this.#folder}/`)).reverse()) {
      await works('umount', '--lazy', mount);
    }
  }

  async containers(): Promise<string[]> {
    return (await run('docker', '-H', this.host, 'ps', '-aq')).split('\n').filter((id) => id !== '');
  }
}
