import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, MountSettings } from 'dockerode';
import { archive } from './archive.js';
import type { ToHost } from './host-paths.js';

const FILE = 'hosts';
/** What an engine writes for containers that it gives a network. */
const CONTENT = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n';

/** The `/etc/hosts` of containers without a network: the engine makes none for them. */
export class Hosts {
  readonly #folder: string;
  readonly #toHost: ToHost | undefined;

  private constructor(folder: string, toHost: ToHost | undefined) {
    this.#folder = folder;
    this.#toHost = toHost;
  }

  /** Writes it into `folder`. @param toHost says where the engine has that; `undefined`: nowhere */
  static async open(folder: string, toHost: ToHost | undefined): Promise<Hosts> {
    const file = join(folder, FILE);
    await mkdir(folder, { recursive: true });
    await writeFile(`${file}.new`, CONTENT);
    // Every user of an image reads it, whatever the worker's umask.
    await chmod(`${file}.new`, 0o644);
    await rename(`${file}.new`, file);
    return new Hosts(folder, toHost);
  }

  /** What a container is created with. */
  get mounts(): MountSettings[] {
    if (this.#toHost === undefined) return [];
    const source = this.#toHost(join(this.#folder, FILE));
    return [{ Type: 'bind', Source: source, Target: '/etc/hosts', ReadOnly: true }];
  }

  /** Puts it into a container that was created, if it could not be mounted. */
  async putInto(container: Container): Promise<void> {
    if (this.#toHost === undefined)
      await container.putArchive(archive(this.#folder, [FILE], 'etc'), { path: '/' });
  }
}
