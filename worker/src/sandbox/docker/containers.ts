import { randomBytes } from 'node:crypto';
import { runtimeOf, type CallError } from '@panal/protocol';
import type Docker from 'dockerode';
import type { Container, ContainerCreateOptions, ContainerInfo, HostConfig } from 'dockerode';
import type { Logger } from 'pino';
import pLimit from 'p-limit';
import { removeContainer } from '../../engine/container.js';
import { isGone, messageOf } from '../../engine/errors.js';
import { hardened, limiting, volumesInMemory, type Confines } from '../../engine/hardening.js';
import type { Hosts } from '../../engine/hosts.js';
import { LABEL, ofWorker } from '../../engine/labels.js';
import { networkMode } from '../../engine/network.js';
import type { Watch } from '../../engine/watch.js';
import type { DockerPrepared } from './prepared.js';

/** Containers that the engine is asked to start at once, and apart from them to remove: neither holds up the other. */
const STARTS_AT_ONCE = 4;
const REMOVALS_AT_ONCE = 2;
/** Seconds that the engine gives a container when it stops itself; nothing in a sandbox is worth waiting for. */
const STOP_TIMEOUT_S = 1;
/** Age from which on a stopped container is nobody's: the longest call takes an hour, and its worker removes it then. */
const STRAY_AFTER_MS = 2 * 3_600_000;

export interface ContainersOptions {
  docker: Docker;
  workerId: string;
  watch: Watch;
  confines: Confines;
  hosts: Hosts;
  log: Logger;
}

/** The engine leaves the size out where the container has written nothing. */
type Sized = ContainerInfo & { SizeRw?: number };

/** A sandbox, as far as the removal of all concerns it. */
interface Removable {
  remove(): Promise<void>;
}

/** What one kind of sandbox asks of its container beyond what all have. */
export interface Blueprint {
  entrypoint: readonly string[];
  cwd?: string | undefined;
  /** Where it is not the one that the image names. */
  user?: string;
  env?: readonly string[];
  stdin?: boolean;
  host?: HostConfig;
}

/** Makes and removes the containers of sandboxes, and knows which are in use. */
export class Containers {
  readonly docker: Docker;
  readonly watch: Watch;
  readonly log: Logger;
  readonly #options: ContainersOptions;
  readonly #starts = pLimit(STARTS_AT_ONCE);
  readonly #removals = pLimit(REMOVALS_AT_ONCE);
  /** By the names of their containers, which may be yet to come. */
  readonly #inUse = new Map<string, Removable>();

  constructor(options: ContainersOptions) {
    this.#options = options;
    this.docker = options.docker;
    this.watch = options.watch;
    this.log = options.log;
  }

  /** Counts a sandbox as in use until its container is removed, and names both as no other is named. */
  enter(prepared: DockerPrepared, sandbox: Removable): string {
    const { name: of, settings } = prepared.spec;
    // On a bridge the engine's name server tells every function the names of its neighbours.
    const middle = settings.network === 'none' ? `${of}-` : '';
    const name = `panal-${middle}${randomBytes(6).toString('hex')}`;
    this.#inUse.set(name, sandbox);
    return name;
  }

  /** Whether a sandbox of this name is in use. */
  has(name: string): boolean {
    return this.#inUse.has(name);
  }

  /** Removes every sandbox in use. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#inUse.values()].map((sandbox) => sandbox.remove()));
  }

  /** Creates a container and starts it; `attach` is done in between, so that nothing it writes is missed. */
  async start<T>(
    name: string,
    prepared: DockerPrepared,
    blueprint: Blueprint,
    attach: (container: Container) => Promise<T>,
  ): Promise<T> {
    return await this.#starts(async () => {
      const container = await this.docker.createContainer(await this.#recipe(name, prepared, blueprint));
      if (prepared.spec.settings.network === 'none') await this.#options.hosts.putInto(container);
      const attached = await attach(container);
      await container.start();
      return attached;
    });
  }

  /** Gives a container that runs the limits of another function. */
  async limit(name: string, { spec: { settings } }: DockerPrepared): Promise<void> {
    await this.docker.getContainer(name).update(limiting(settings, this.#options.confines.cores));
  }

  /** What each of this worker's containers has written and keeps, in bytes, by its name; those for builds apart. */
  async sizes(): Promise<{ name: string; build: boolean; bytes: number }[]> {
    const filters = ofWorker(this.#options.workerId);
    const containers: Sized[] = await this.docker.listContainers({ size: true, filters });
    return containers.map(({ Names, Labels, SizeRw = 0 }) => ({
      name: (Names[0] ?? '').replace('/', ''),
      build: Labels[LABEL.kind] === 'build',
      bytes: SizeRw,
    }));
  }

  /** Kills a container, so that the call in it, if any, fails for `why`. One that is gone is fine. */
  async kill(name: string, why: CallError): Promise<void> {
    this.watch.blame(name, why);
    try {
      await this.docker.getContainer(name).kill();
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /** Kills and removes a container, and says whether it is gone. Where the engine fails at it, the next `reclaim` tries again. */
  async remove(name: string): Promise<boolean> {
    try {
      await this.#removals(() => removeContainer(this.docker.getContainer(name)));
      return true;
    } catch (error) {
      this.log.warn({ container: name, error: messageOf(error) }, 'container not removed');
      return false;
    } finally {
      this.#inUse.delete(name);
    }
  }

  /** Removes the containers of this worker that nobody uses; with `all` those too in which images are made. */
  async reclaim({ all }: { all: boolean }): Promise<void> {
    const filters = ofWorker(this.#options.workerId);
    if (!all) filters.label.push(`${LABEL.kind}=sandbox`);
    const containers = await this.docker.listContainers({ all: true, filters });
    const idle = containers.filter(
      ({ Names }) => !Names.some((name) => this.#inUse.has(name.replace('/', ''))),
    );
    await Promise.all(
      idle.map(({ Id }) => this.#removals(() => removeContainer(this.docker.getContainer(Id)))),
    );
  }

  /**
   * Removes containers of workers that never came back. With its worker a sandbox loses its connection, and ends: what
   * has stopped, of whichever worker, and was made long ago, nobody is about to look at.
   */
  async reclaimStrays(now = Date.now()): Promise<void> {
    const filters = { status: ['created', 'exited', 'dead'], label: [LABEL.worker] };
    const stopped = await this.docker.listContainers({ all: true, filters });
    const strays = stopped.filter((each) => isStray(each, now));
    await Promise.all(
      strays.map(({ Id }) => this.#removals(() => removeContainer(this.docker.getContainer(Id)))),
    );
  }

  async #recipe(
    name: string,
    { spec, image }: DockerPrepared,
    blueprint: Blueprint,
  ): Promise<ContainerCreateOptions> {
    const { entrypoint, cwd, user, env = [], stdin = false, host = {} } = blueprint;
    const { memoryMb } = spec.settings;
    const workdir = runtimeOf(spec)?.path;
    const hosts = spec.settings.network === 'none' ? this.#options.hosts.mounts : [];
    const mounts = [...hosts, ...(host.Mounts ?? [])];
    const limits = { ...spec.settings, network: await networkMode(this.docker, spec.settings.network) };
    const own = Object.entries(spec.settings.env).map(([key, value]) => `${key}=${value}`);
    return {
      name,
      Image: image.id,
      Entrypoint: [...entrypoint],
      Cmd: [],
      // As a shell would set it.
      Env: [...(workdir === undefined ? [] : [`PWD=${workdir}`]), ...own, ...env],
      ...(cwd !== undefined && { WorkingDir: cwd }),
      ...(user !== undefined && { User: user }),
      // Rather than the engine's network `none`, the OCI runtime's own empty network namespace (with loopback): it is
      // made in less time, and containers that end at the same moment cannot lock up the engine's network controller,
      // as those of one network can (libnetwork of Docker 20.10 takes two locks in either order).
      NetworkDisabled: spec.settings.network === 'none',
      OpenStdin: stdin,
      StdinOnce: stdin,
      // An image's health check would have the engine start a process in the sandbox every now and then.
      Healthcheck: { Test: ['NONE'] },
      StopTimeout: STOP_TIMEOUT_S,
      Labels: {
        [LABEL.worker]: this.#options.workerId,
        [LABEL.kind]: 'sandbox',
        [LABEL.function]: spec.id,
        [LABEL.owner]: spec.owner,
      },
      HostConfig: {
        ...hardened(limits, this.#options.confines),
        ...host,
        Mounts: [...mounts, ...volumesInMemory(image.volumes, mounts, memoryMb)],
      },
    };
  }
}

/** Whether a container that has stopped was made by a worker, long ago. */
export function isStray(
  { Created, Labels }: Pick<ContainerInfo, 'Created' | 'Labels'>,
  now: number,
): boolean {
  // Whoever starts the image of a function by hand has its labels too, with no worker.
  return Boolean(Labels[LABEL.worker]) && now - 1000 * Created > STRAY_AFTER_MS;
}
