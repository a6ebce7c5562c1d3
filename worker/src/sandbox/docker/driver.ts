import { chmod, copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  LIFECYCLE_TRAITS,
  runtimeOf,
  type BundleRef,
  type FunctionSpec,
  type Lifecycle,
} from '@panal/protocol';
import { contractOf } from '../../contracts/index.js';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { removeTree, within } from '@panal/support';
import type { Cache } from '../../cache/cache-keeper.js';
import { removeUnfinished } from '../../cache/folder-cache.js';
import { engineFailure, faultIn, messageOf, statusOf } from '../../engine/errors.js';
import { Hosts } from '../../engine/hosts.js';
import { hostPaths, type ToHost } from '../../engine/host-paths.js';
import { removeLeftFolders } from '../../engine/left-folders.js';
import { removeIdleNetwork } from '../../engine/network.js';
import { checkRuntime, engineInfo, type EngineInfo } from '../../engine/info.js';
import { Watch } from '../../engine/watch.js';
import type { Claims } from '../../link/claim-client.js';
import type { Credentials } from '../../images/credentials.js';
import { Images, type ImagesOptions } from '../../images/images.js';
import { Outlet } from '../../images/way-out.js';
import { Registry } from '../../images/registry.js';
import { SharedImages } from '../../images/shared-images.js';
import { agentPath } from '../agent.js';
import type { DiskGuard } from '../disk-guard.js';
import { startExitCode } from '../../contracts/verdict.js';
import type { Installation } from '../../egress/installation.js';
import { checkRuntimePath } from '../runtime-path.js';
import { FunctionError, PlatformError, Unprepared } from '../../errors.js';
import type { OnOutput } from '../../output/on-output.js';
import type { Blank, DriverInfo, Prepared, Sandbox, SandboxDriver } from '../sandbox.js';
import { BlankSandbox } from './blank-sandbox.js';
import { ChannelSandbox } from './channel-sandbox.js';
import type { ContainerSandbox } from './container-sandbox.js';
import { Containers } from './containers.js';
import { openDiskGuard } from './disk.js';
import { EngineSandbox } from './engine-sandbox.js';
import { ExecSandbox } from './exec-sandbox.js';
import { ServerSandbox } from './server-sandbox.js';
import { DockerPrepared } from './prepared.js';
import { SocketTransport, StdioTransport, type Transport } from './transport.js';

/** How long an engine may take to answer that it is there. */
const ANSWER_WITHIN_MS = 5000;
/** Before an image that could not be pushed is pushed again. */
const PUSH_AGAIN_MS = 5000;
const NO_OUTLET =
  '`dependencies` have no network: the engine cannot mount the folders of this worker, FAAS_RUNTIME is set, or the ' +
  "agent is not built. FAAS_DEPS_NETWORK=bridge gives them the engine's bridge, with all that can be reached from there";

export interface DockerDriverOptions {
  docker: Docker;
  /** Labels all that the driver makes. */
  workerId: string;
  /** Folder for sockets and what is unpacked meanwhile; workers may share it. */
  dataDir: string;
  /** Gives the path of a bundle on this machine. */
  bundles: { get(ref: BundleRef, signal: AbortSignal): Promise<string> };
  unpack: (path: string, format: BundleRef['format'], folder: string) => Promise<void>;
  /** Path of the agent; without it calls go through the engine. */
  agent: string | undefined;
  /** Folder of the bundled runtimes. */
  runtimesDir: string;
  /**
   * Whether blank sandboxes are wanted. Functions whose `dependencies` do nothing are then kept as folders, which are
   * put into containers of their runtime, rather than as images.
   */
  blanks: boolean;
  /** Longest pull or build of an image, in ms. */
  prepareTimeoutMs: number;
  /** What a run of `dependencies` may take and reach. */
  installation: Installation;
  /** OCI runtime, by the engine's name for it; `undefined`: the engine's own choice. */
  runtime: string | undefined;
  /** Most that a sandbox may keep on disk, in MiB. */
  diskMb: number;
  /** Address of the registry through which workers share images; `undefined`: each engine has its own. */
  registry: string | undefined;
  credentials: Credentials;
  claims: Claims;
  log: Logger;
}

/** What there is while the driver is open. */
interface Opened {
  containers: Containers;
  images: Images;
  watch: Watch;
  transport: Transport;
  guard: DiskGuard;
}

/** Makes sandboxes of containers. */
export class DockerDriver implements SandboxDriver {
  readonly #options: DockerDriverOptions;
  /** Folder of this worker's sandboxes. */
  readonly #folder: string;
  /** Where bundles are unpacked on their way into an image. */
  readonly #unpacked: string;
  /** Code that is kept unpacked. */
  readonly #functions: string;
  readonly #closing = new AbortController();
  #opened: Opened | undefined;

  constructor(options: DockerDriverOptions) {
    this.#options = options;
    this.#folder = resolve(options.dataDir, 'sandboxes', options.workerId);
    this.#unpacked = resolve(options.dataDir, 'unpacked', options.workerId);
    this.#functions = resolve(options.dataDir, 'functions');
  }

  /** Whether a container engine answers. */
  static async answers(docker: Docker): Promise<boolean> {
    try {
      return await within(ANSWER_WITHIN_MS, docker.ping());
    } catch {
      return false;
    }
  }

  /** @throws ConfigError where the engine has no such runtime. */
  async open(): Promise<DriverInfo> {
    const { docker, dataDir, workerId, agent, log, runtime, diskMb, installation } = this.#options;
    const engine = await engineInfo(docker);
    const { cores, warnings, mapsUsers } = engine;
    checkRuntime(engine, runtime);
    const confines = { cores, runtime, diskMb };
    const watch = new Watch(docker, workerId);
    await watch.open();
    // A runtime with a kernel of its own, as gVisor and Kata, leads no socket out of its sandbox.
    const toHost = runtime === undefined ? await hostPaths(docker, this.#folder) : undefined;
    const hosts = await Hosts.open(resolve(dataDir, 'hosts', workerId), toHost);
    const containers = new Containers({ docker, workerId, watch, confines, hosts, log });
    await containers.reclaim({ all: true });
    await removeLeftFolders(docker, dataDir);
    // What it could not remove while the engine was away, or what the engine ended when it came back.
    watch.onReturn = () => {
      containers
        .reclaim({ all: false })
        .catch((error: unknown) => log.warn({ err: error }, 'reclaiming failed'));
    };
    await removeTree(this.#folder, this.#unpacked);
    await removeUnfinished(this.#functions);
    await mkdir(this.#folder, { recursive: true });
    // Functions may write to folders in it, as root even: nobody else on this machine should meet what they leave.
    await chmod(this.#folder, 0o700);
    const codeDir = toHost === undefined || mapsUsers ? undefined : this.#codeDir();
    const limits = {
      sandbox: { mb: diskMb, setting: 'FAAS_DISK_MB' },
      build: { mb: installation.diskMb, setting: 'FAAS_DEPS_DISK_MB' },
    } as const;
    const guard = openDiskGuard(containers, this.#folder, limits, log);
    const copy = await this.#copyAgent();
    const outlet = this.#outlet(copy, toHost);
    this.#opened = {
      containers,
      watch,
      guard,
      images: this.#images(engine, { confines, codeDir, hosts, outlet, watch }),
      transport: this.#transport(toHost, agent === undefined ? undefined : copy),
    };
    if (installation.network === 'registries' && outlet === undefined) warnings.push(NO_OUTLET);
    const kind = { sandbox: 'docker', capabilities: ['containers', 'images'] } as const;
    if (agent !== undefined) return { ...kind, path: 'agent', warnings };
    warnings.push(
      'calls go through the container engine, which is slow: the agent is not built, or switched off',
    );
    return { ...kind, path: 'engine', warnings };
  }

  async close(): Promise<void> {
    if (this.#opened === undefined) return;
    const { containers, images, watch, guard } = this.#opened;
    this.#opened = undefined;
    await guard.close();
    this.#closing.abort(new PlatformError('SHUTTING_DOWN', 'the worker is stopping'));
    await containers.removeAll();
    await containers.reclaim({ all: true });
    await images.close();
    await removeIdleNetwork(this.#options.docker);
    watch.close();
    await removeTree(this.#folder);
  }

  async prepare(spec: FunctionSpec, signal: AbortSignal, onOutput?: OnOutput): Promise<DockerPrepared> {
    checkRuntimePath(spec);
    const { images } = this.#require();
    const either = AbortSignal.any([signal, this.#closing.signal]);
    try {
      const origin = await images.of(spec, either, onOutput);
      const prepared = new DockerPrepared({ ...spec, imageDigest: origin.imageDigest }, origin);
      const contract = contractOf(spec.settings.lifecycle);
      // Throws if there is no command to start.
      if (contract.server === undefined) contract.command(prepared, { argument: undefined });
      return prepared;
    } catch (cause) {
      either.throwIfAborted();
      throw asSandboxError('preparing an image', cause);
    }
  }

  async start(prepared: Prepared, lifecycle: Lifecycle, signal: AbortSignal): Promise<Sandbox> {
    if (!(prepared instanceof DockerPrepared)) throw new TypeError('prepared by another driver');
    this.#require().images.used(prepared.image);
    return await this.#started(() => this.#sandbox(prepared, lifecycle), signal);
  }

  async preload(like: Prepared, signal: AbortSignal): Promise<Blank> {
    if (!(like instanceof DockerPrepared)) throw new TypeError('prepared by another driver');
    const { containers, transport } = this.#require();
    const contract = contractOf(like.spec.settings.lifecycle);
    if (contract.server !== undefined) throw new TypeError('a server is not started ahead of its function');
    return await this.#started(() => new BlankSandbox(containers, like, transport, contract), signal);
  }

  async #started<S extends ContainerSandbox>(make: () => S, signal: AbortSignal): Promise<S> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    either.throwIfAborted();
    const sandbox = make();
    try {
      await sandbox.start(either);
      either.throwIfAborted();
      return sandbox;
    } catch (cause) {
      await sandbox.remove();
      either.throwIfAborted();
      throw asSandboxError('starting a sandbox', cause);
    }
  }

  async reclaim(): Promise<void> {
    const { containers } = this.#require();
    await containers.reclaim({ all: false });
    await containers.reclaimStrays();
    for (const name of await readdir(this.#folder)) {
      if (!containers.has(name)) await removeTree(join(this.#folder, name));
    }
  }

  caches(): readonly Cache[] {
    return this.#require().images.caches();
  }

  #sandbox(prepared: DockerPrepared, lifecycle: Lifecycle): ContainerSandbox {
    const { containers, transport } = this.#require();
    const contract = contractOf(lifecycle);
    if (contract.server !== undefined) return new ServerSandbox(containers, prepared, transport, contract);
    if (this.#options.agent !== undefined)
      return new ChannelSandbox(containers, prepared, transport, contract);
    // What keeps a container up is a shell's command, and only a runtime's image is sure to have a shell.
    const hasShell = runtimeOf(prepared.spec) !== undefined;
    if (LIFECYCLE_TRAITS[lifecycle].reuses && hasShell)
      return new ExecSandbox(containers, prepared, contract);
    return new EngineSandbox(containers, prepared, contract);
  }

  /** Where the code of functions is kept; `undefined` where none can be put into a container so that it is root's. */
  #codeDir(): string | undefined {
    const { blanks, agent } = this.#options;
    const root = process.getuid?.() === 0;
    return blanks && agent !== undefined && root ? this.#functions : undefined;
  }

  /** The proxy by which `dependencies` reach registries; `undefined` if none is asked for, or none can work here. */
  #outlet(agent: string | undefined, toHost: ToHost | undefined): Outlet | undefined {
    const { installation } = this.#options;
    if (installation.network !== 'registries' || agent === undefined || toHost === undefined)
      return undefined;
    return new Outlet({ rules: installation, folder: this.#unpacked, agent, toHost });
  }

  #images(
    { id, architecture }: EngineInfo,
    made: Pick<ImagesOptions, 'confines' | 'codeDir' | 'hosts' | 'outlet' | 'watch'>,
  ): Images {
    const { docker, workerId, bundles, prepareTimeoutMs, registry, credentials, claims, log } = this.#options;
    return new Images({
      docker,
      workerId,
      folder: this.#unpacked,
      ...made,
      architecture,
      timeoutMs: prepareTimeoutMs,
      installation: this.#options.installation,
      bundle: (ref, signal) => bundles.get(ref, signal),
      unpack: this.#options.unpack,
      runtimesDir: this.#options.runtimesDir,
      credentials,
      shared: new SharedImages({
        docker,
        engine: id,
        registry: registry === undefined ? undefined : new Registry(registry, docker, credentials),
        claims,
        closing: this.#closing.signal,
        retryMs: PUSH_AGAIN_MS,
        log,
      }),
    });
  }

  /** Sockets where the engine can mount our folders, else the streams of the containers. */
  #transport(toHost: ToHost | undefined, agent: string | undefined): Transport {
    if (toHost === undefined) return new StdioTransport(agent);
    return new SocketTransport({ folder: this.#folder, toHost, agent });
  }

  /** Puts the agent where the engine can mount it from, our own folder, which may be a volume; for every user to execute. */
  async #copyAgent(): Promise<string | undefined> {
    const { dataDir, workerId } = this.#options;
    // Where calls do without it, `dependencies` still need its relay.
    const agent = this.#options.agent ?? agentPath();
    if (agent === undefined) return undefined;
    const folder = resolve(dataDir, 'agents', workerId);
    const copy = join(folder, 'agent');
    await mkdir(folder, { recursive: true });
    await copyFile(agent, `${copy}.new`);
    await chmod(`${copy}.new`, 0o755);
    // Containers that run keep the file that they have.
    await rename(`${copy}.new`, copy);
    return copy;
  }

  #require(): Opened {
    if (this.#opened === undefined) throw new PlatformError('SHUTTING_DOWN', 'the driver is not open');
    return this.#opened;
  }
}

/** An image that the engine has no more was removed from the cache, or by hand. */
function asSandboxError(what: string, cause: unknown): Error {
  if (cause instanceof FunctionError || cause instanceof PlatformError) return cause;
  const fault = faultIn(cause);
  if (fault !== undefined) return new FunctionError('START_FAILED', fault, undefined, startExitCode(fault));
  const gone = statusOf(cause) === 404 && /no such image/i.test(messageOf(cause));
  return gone ? new Unprepared(messageOf(cause), { cause }) : engineFailure(what, cause);
}
