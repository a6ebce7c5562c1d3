import { posix } from 'node:path';
import type { CallError } from '@panal/protocol';
import { diskUse, removeTree } from '@panal/support';
import type { DiskLimit, Kept } from '../disk-guard.js';
import type { Bind, Link } from './bubblewrap.js';
import type { Cgroup } from './cgroups.js';
import type { FunctionFolder } from './function-folder.js';
import { launch, placesOf, type Machine } from './launcher.js';
import type { Launched } from './launched.js';
import type { SandboxFolder } from './sandbox-folder.js';

/** Folders of Panal's own, as seen under bubblewrap. */
const RUNTIME = '/run/panal/runtime';
const SOCKET = '/run/panal/socket';
const AGENT = '/run/panal/agent';
/** What `dependencies` left in their home. */
const INSTALLED = '/run/panal/home';

/** A process to start in a cell. */
export interface Start {
  argv: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Whether it reaps, and may be PID 1. */
  init?: boolean;
  stdin: 'pipe' | 'ignore';
}

export interface CellOptions {
  cgroup: Cgroup | undefined;
  /** Folder of the bundled runtime, with its handler loop. */
  runtimeDir: string | undefined;
  agent: string | undefined;
  /** Called when nothing is left of it. */
  onRemoved: () => void;
}

/** What one sandbox is made of: its folder, its control group where there is one, and the way to start processes. */
export class Cell {
  readonly id: string;
  readonly folder: SandboxFolder;
  readonly function: FunctionFolder;
  readonly cgroup: Cgroup | undefined;
  readonly #machine: Machine;
  readonly #options: CellOptions;
  #copied: Promise<Map<string, number>> | undefined;
  #killedFor: CallError | undefined;

  constructor(
    id: string,
    folder: SandboxFolder,
    from: FunctionFolder,
    machine: Machine,
    options: CellOptions,
  ) {
    this.id = id;
    this.folder = folder;
    this.function = from;
    this.cgroup = options.cgroup;
    this.#machine = machine;
    this.#options = options;
  }

  /** The agent as a process of this cell sees it. */
  get agentPath(): string | undefined {
    const { agent } = this.#options;
    return agent !== undefined && this.#machine.bubblewrap ? AGENT : agent;
  }

  /** `path`, of a socket in this cell's folder for it, as a process that starts in this cell can reach it. */
  socketPath(path: string, longest: number): string {
    const name = path.slice(this.folder.socket.length + 1);
    if (this.#machine.bubblewrap) return `${SOCKET}/${name}`;
    // A path that does not fit a socket's address does, seen from the working directory beside it.
    return Buffer.byteLength(path) > longest ? `../socket/${name}` : path;
  }

  start({ argv, env = {}, init = false, stdin }: Start): Launched {
    const { spec } = this.function;
    return launch(this.#machine, {
      argv,
      env: { ...spec.settings.env, ...this.#runtimeEnv(), ...env },
      folders: this.folder,
      codePath: spec.runtime.path,
      binds: this.#binds(),
      links: this.#links(),
      network: spec.settings.network === 'bridge',
      init,
      settings: spec.settings,
      cgroup: this.cgroup,
      uid: this.function.uid,
      stdin,
    });
  }

  #runtimeEnv(): Record<string, string> {
    const { runtimeDir } = this.#options;
    if (runtimeDir === undefined) return {};
    return { FAAS_RUNTIME_DIR: this.#machine.bubblewrap ? RUNTIME : runtimeDir };
  }

  #binds(): Bind[] {
    const binds: Bind[] = [
      { from: this.function.home, to: INSTALLED },
      { from: this.folder.socket, to: SOCKET, writable: true },
    ];
    const { runtimeDir, agent } = this.#options;
    if (runtimeDir !== undefined) binds.push({ from: runtimeDir, to: RUNTIME });
    if (agent !== undefined) binds.push({ from: agent, to: AGENT });
    return binds;
  }

  /**
   * The installed home is bound whole, and what is in it linked into the sandbox's own home, by names alone: an entry
   * that is a link itself is made again as it is, for the sandbox to follow.
   */
  #links(): Link[] {
    const { home, code } = placesOf(this.#machine, this.folder, this.function.spec.runtime.path);
    // Where the code lies in the home, no link may lead its bind elsewhere.
    const [taken] = posix.relative(home, code).split('/');
    return this.function.homeEntries
      .filter(({ name }) => name !== taken)
      .map(({ name, target }) => ({ at: `${home}/${name}`, target: target ?? `${INSTALLED}/${name}` }));
  }

  /** Bytes of disk that its folder took before anything ran in it. */
  async copied(): Promise<number> {
    const { code, home } = this.function;
    this.#copied ??= diskUse(this.#machine.bubblewrap ? [code] : [code, home]);
    return [...(await this.#copied).values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Panal itself is about to kill what is in it, for `why`. */
  blame(why: CallError): void {
    this.#killedFor = why;
  }

  /** Why a process of this cell was killed, where that is known. */
  async explain(): Promise<CallError | undefined> {
    if (this.#killedFor !== undefined) return this.#killedFor;
    if (!(await this.cgroup?.outOfMemory())) return undefined;
    const { memoryMb } = this.function.spec.settings;
    return {
      code: 'OUT_OF_MEMORY',
      message: `took more than ${memoryMb} MiB of memory (memoryMb of the function)`,
    };
  }

  /** Kills what is left in it, and removes it. */
  async remove(): Promise<void> {
    await this.cgroup?.remove();
    await removeTree(this.folder.root);
    this.#options.onRemoved();
  }
}

/** What each cell keeps on disk, besides its copy of the function. */
export async function keptByCells(cells: readonly Cell[], limit: DiskLimit): Promise<Kept[]> {
  const sizes = await diskUse(cells.map(({ folder }) => folder.root));
  return await Promise.all(
    cells.map(async (cell) => {
      const bytes = (sizes.get(cell.folder.root) ?? 0) - (await cell.copied());
      return { name: cell.id, bytes, limit };
    }),
  );
}
