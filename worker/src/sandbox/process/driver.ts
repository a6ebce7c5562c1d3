import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import {
  LIFECYCLE_TRAITS,
  PanalError,
  type FunctionSpec,
  type Lifecycle,
  type UidRange,
} from '@panal/protocol';
import type { Logger } from 'pino';
import { copyTree, makeFolders, removeTree, shareTree } from '@panal/support';
import type { Cache } from '../../cache/cache-keeper.js';
import { copyFrom, FolderCache } from '../../cache/folder-cache.js';
import { FunctionError, PlatformError } from '../../errors.js';
import type { OnOutput } from '../../output/on-output.js';
import type { DriverInfo, Prepared, Sandbox, SandboxDriver } from '../sandbox.js';
import { contractOf } from '../../contracts/index.js';
import { DiskGuard, type Kept } from '../disk-guard.js';
import type { Installation } from '../../egress/installation.js';
import { checkRuntimePath } from '../runtime-path.js';
import { findMasks, systemFolderOf } from './bubblewrap.js';
import { Cell, keptByCells } from './cell.js';
import { Cgroups } from './cgroups.js';
import { ChannelSandbox } from './channel-sandbox.js';
import { DirectSandbox } from './direct-sandbox.js';
import {
  FunctionFolder,
  FunctionFolders,
  bundledRuntimes,
  wholeName,
  type BundleSource,
} from './function-folder.js';
import { Installer } from './installer.js';
import { starts, wrapperPids, type Machine } from './launcher.js';
import { makeNameFiles } from './names.js';
import { findPrograms, works } from './programs.js';
import { seccompFilter } from './seccomp.js';
import { makeSandboxFolder, removeLeftovers } from './sandbox-folder.js';
import { MachineClaims, UNCLAIMED, type UidClaims } from './uid-claims.js';
import { OwnerUids } from './uids.js';
import { warningsOf } from './warnings.js';

export interface ProcessDriverOptions {
  /** A folder of this worker's alone. */
  dataDir: string;
  bundles: Pick<BundleSource, 'get'>;
  /** Unpacks a bundle into a folder that is made where it is missing. */
  unpack: BundleSource['unpack'];
  /** Path of the agent; without it the worker starts the process of each call itself. */
  agent: string | undefined;
  /** Folder of the bundled runtimes, each with its `runtime.json` and handler loop. */
  runtimesDir: string;
  /** What a run of `dependencies` may take and reach. */
  installation: Installation;
  /** Most that a sandbox may keep on disk, in MiB, besides its copy of the function. */
  diskMb: number;
  /** Users of the machine that run functions, one for each owner, where the worker is root. */
  uids: UidRange;
  log: Pick<Logger, 'debug' | 'warn'>;
}

type ProcessSandbox = ChannelSandbox | DirectSandbox;

/** What `open` finds out. */
interface Opened {
  machine: Machine;
  cgroups: Cgroups | undefined;
  folders: FunctionFolders;
  installer: Installer;
  tools: Tools;
  claims: UidClaims;
  /** Folders of the bundled runtimes, by the whole names of their images. */
  runtimes: ReadonlyMap<string, string>;
}

/** What of Panal itself runs in sandboxes. */
type Tools = Pick<ProcessDriverOptions, 'agent' | 'runtimesDir'>;

/**
 * Runs functions as plain processes, on machines without a container engine. Runtime functions only: an image needs an
 * engine. A runtime's image is not used; its commands find the machine's own interpreters.
 *
 * What holds depends on the machine, and `open` warns of what does not:
 * - Always: an environment with nothing of the worker's; an own copy of the code, home and temporary folder for each
 *   sandbox; time, output and disk limit, and an end to the process group of a call.
 * - With bubblewrap: no other file than the system's programs and libraries, the function's own, and the interpreters;
 *   no other process; no capability, no new privileges; no network under `none`. Whatever a call started ends with it.
 *   `bridge` shares the machine's network, its loopback with it. System calls are filtered, and parts of `/proc`
 *   covered, as container engines do.
 * - With bubblewrap, as root: each owner's functions run as a user of their own, never as root, who alone reads their
 *   files, kernel keys and what `/proc` says of them. Without bubblewrap they run as the worker's user.
 * - With control groups (mostly: as root): memory, processes and processor share as set, over the whole sandbox.
 * - Without them, with `prlimit`: each process may fill its `memoryMb` and 64 MiB (`RLIMIT_DATA`); `pids` and `cpus`
 *   are not enforced, for the kernel counts processes by user, and not those of root.
 * - `dependencies` run as a call does, with limits of their own. Under bubblewrap they have no network but a proxy of the
 *   worker's for HTTP and HTTPS (`worker/src/egress`), or none at all.
 *
 * Without bubblewrap nothing keeps a function from what the worker can read and write.
 */
export class ProcessDriver implements SandboxDriver {
  readonly #options: ProcessDriverOptions;
  readonly #sandboxesDir: string;
  readonly #functionsDir: string;
  readonly #sandboxes = new Map<string, ProcessSandbox | undefined>();
  readonly #guard: DiskGuard;
  #opened: Opened | undefined;

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.#sandboxesDir = join(options.dataDir, 'sandboxes');
    this.#functionsDir = join(options.dataDir, 'functions');
    this.#guard = new DiskGuard({
      measure: () => this.#kept(),
      end: async (id, why) => {
        this.#sandboxes.get(id)?.killFor(why);
        this.#open.installer.kill(id, why);
      },
      log: options.log,
    });
  }

  async open(): Promise<DriverInfo> {
    const { dataDir, bundles, unpack, installation, uids } = this.#options;
    await mkdir(this.#sandboxesDir, { recursive: true, mode: 0o700 });
    const [programs, masks, names, bubblewrap, prlimit, cgroups, setpriv] = await Promise.all([
      findPrograms(),
      findMasks(join(dataDir, 'empty')),
      makeNameFiles(join(dataDir, 'names')),
      works('bwrap', '--version'),
      works('prlimit', '--core=0', '--', 'true'),
      Cgroups.find(dataDir),
      works('setpriv', '--version'),
    ]);
    const most: Machine = {
      programs,
      masks,
      names,
      prlimit,
      bubblewrap,
      seccomp: seccompFilter(process.arch),
      users: process.getuid?.() === 0 && setpriv,
    };
    const tools = most.users ? await this.#copyTools() : this.#options;
    const machine = await this.#usable(most, tools);
    const source = { get: bundles.get.bind(bundles), unpack };
    const installer = new Installer(machine, cgroups, installation);
    const claims = machine.users ? await MachineClaims.open().catch(() => UNCLAIMED) : UNCLAIMED;
    const users = machine.users ? await OwnerUids.open(join(dataDir, 'uids.json'), uids, claims) : undefined;
    const folders = new FunctionFolders(this.#functionsDir, installer, source, users);
    const runtimes = await bundledRuntimes(tools.runtimesDir);
    this.#opened = { machine, cgroups, folders, installer, tools, claims, runtimes };
    await Promise.all([folders.open(), this.reclaim()]);
    this.#guard.open();
    return {
      sandbox: 'process',
      path: tools.agent === undefined ? 'direct' : 'agent',
      capabilities: [],
      warnings: warningsOf(machine, { limited: cgroups !== undefined, claimed: claims !== UNCLAIMED }),
    };
  }

  async close(): Promise<void> {
    await this.#guard.close();
    await Promise.all(this.#started.map((sandbox) => sandbox.remove()));
    await this.#opened?.cgroups?.close();
    await this.#opened?.claims.release();
  }

  /** @throws FunctionError NO_CONTAINER_ENGINE for an image function; DEPENDENCIES_FAILED with the command's output. */
  async prepare(spec: FunctionSpec, signal: AbortSignal, onOutput?: OnOutput): Promise<Prepared> {
    if (spec.kind === 'image') {
      throw new FunctionError(
        'NO_CONTAINER_ENGINE',
        'this worker has no container engine for image functions',
      );
    }
    checkRuntimePath(spec);
    const system = this.#open.machine.bubblewrap ? systemFolderOf(spec.runtime.path) : undefined;
    if (system !== undefined) {
      throw new FunctionError(
        'START_FAILED',
        `the runtime's path ${spec.runtime.path} lies in ${system}, which a sandbox without a container engine shares ` +
          'with the machine; register the runtime with another path, such as /ws',
      );
    }
    try {
      return await this.#open.folders.prepare(spec, signal, onOutput);
    } catch (error) {
      signal.throwIfAborted();
      throw asSandboxError(error);
    }
  }

  async start(prepared: Prepared, lifecycle: Lifecycle, signal: AbortSignal): Promise<Sandbox> {
    if (!(prepared instanceof FunctionFolder)) throw new TypeError('prepared by another driver');
    // Throws if there is none to start.
    contractOf(lifecycle).server?.(prepared);
    const id = randomBytes(6).toString('hex');
    // Known from the first moment, so that `reclaim` leaves its folder alone.
    this.#sandboxes.set(id, undefined);
    try {
      const sandbox = await this.#start(id, prepared, lifecycle, signal);
      this.#sandboxes.set(id, sandbox);
      this.#options.log.debug({ sandbox: id, lifecycle, function: prepared.spec.name }, 'sandbox started');
      return sandbox;
    } catch (error) {
      await removeTree(join(this.#sandboxesDir, id));
      this.#sandboxes.delete(id);
      signal.throwIfAborted();
      throw asSandboxError(error);
    }
  }

  async reclaim(): Promise<void> {
    await removeLeftovers(this.#sandboxesDir, new Set(this.#sandboxes.keys()));
  }

  caches(): readonly Cache[] {
    const used = (path: string): boolean => this.#started.some(({ cell }) => cell.function.path === path);
    return [new FolderCache(this.#functionsDir, used)];
  }

  async #kept(): Promise<Kept[]> {
    const cells = this.#started.map(({ cell }) => cell);
    const limit = { mb: this.#options.diskMb, setting: 'FAAS_DISK_MB' } as const;
    const kept = await Promise.all([keptByCells(cells, limit), this.#open.installer.kept()]);
    return kept.flat();
  }

  /** Copies what every user has to read: who installed Panal may have kept it to himself. */
  async #copyTools(): Promise<Tools> {
    const folder = join(this.#options.dataDir, 'tools');
    const runtimesDir = join(folder, 'runtimes');
    const { agent } = this.#options;
    await removeTree(folder);
    await makeFolders(folder);
    await copyTree(this.#options.runtimesDir, runtimesDir);
    if (agent !== undefined) await copyTree(agent, join(folder, 'agent'));
    await shareTree(folder);
    return { runtimesDir, agent: agent && join(folder, 'agent') };
  }

  /** What of `most` this machine can do. */
  async #usable(most: Machine, { agent, runtimesDir }: Tools): Promise<Machine> {
    const { uids } = this.#options;
    const folder = await mkdtemp(join(this.#sandboxesDir, 'trial-'));
    await chmod(folder, 0o755);
    const read = [agent, runtimesDir].filter((path) => path !== undefined);
    const what = { uid: uids.first, read: read.map((path, index) => ({ from: path, to: `/run/${index}` })) };
    const filtered = most.users ? [most, { ...most, users: false }] : [most];
    const tried = [...filtered, ...filtered.map((machine) => ({ ...machine, seccomp: undefined }))];
    for (const machine of most.bubblewrap ? tried : []) {
      if (await starts(machine, folder, what)) return machine;
    }
    return { ...most, bubblewrap: false, users: false };
  }

  get #open(): Opened {
    if (this.#opened === undefined) throw new TypeError('the driver is not open');
    return this.#opened;
  }

  get #started(): ProcessSandbox[] {
    return [...this.#sandboxes.values()].filter((sandbox) => sandbox !== undefined);
  }

  async #start(
    id: string,
    from: FunctionFolder,
    lifecycle: Lifecycle,
    signal: AbortSignal,
  ): Promise<ProcessSandbox> {
    const { machine, cgroups, tools } = this.#open;
    const { agent } = tools;
    const { settings, runtime } = from.spec;
    const root = join(this.#sandboxesDir, id);
    const folder = await copyFrom(from.path, () => makeSandboxFolder(root, from, machine));
    const cgroup = await cgroups?.create(id, {
      ...settings,
      pids: settings.pids + wrapperPids(from.uid),
    });
    const runtimeDir = this.#open.runtimes.get(wholeName(runtime.image));
    const onRemoved = (): void => void this.#sandboxes.delete(id);
    const cell = new Cell(id, folder, from, machine, { cgroup, runtimeDir, agent, onRemoved });
    const contract = contractOf(lifecycle);
    const { reuses } = LIFECYCLE_TRAITS[lifecycle];
    if (contract.server === undefined && agent === undefined)
      return new DirectSandbox(cell, contract, reuses);
    return await ChannelSandbox.start(cell, contract, reuses, signal);
  }
}

/** What is no fault of the function's may be tried again. */
function asSandboxError(error: unknown): Error {
  if (error instanceof FunctionError || error instanceof PlatformError) return error;
  if (error instanceof PanalError) return new FunctionError(error.code, error.message);
  const why = error instanceof Error ? error.message : String(error);
  return new PlatformError('SANDBOX_FAILED', why, { cause: error });
}
