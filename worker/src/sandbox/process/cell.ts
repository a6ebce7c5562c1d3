import { rm } from 'node:fs/promises';
import type { CallError } from '@panal/protocol';
import type { Bind } from './bubblewrap.js';
import type { Cgroup } from './cgroups.js';
import type { FunctionFolder } from './function-folder.js';
import { launch, placesOf, type Machine } from './launcher.js';
import type { Launched } from './launched.js';
import type { SandboxFolder } from './sandbox-folder.js';

/** Folders of Panal's own, as seen under bubblewrap. */
const RUNTIME = '/run/panal/runtime';
const SOCKET = '/run/panal/socket';
const AGENT = '/run/panal/agent';

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
      network: spec.settings.network === 'bridge',
      init,
      settings: spec.settings,
      cgroup: this.cgroup,
      stdin,
    });
  }

  #runtimeEnv(): Record<string, string> {
    const { runtimeDir } = this.#options;
    if (runtimeDir === undefined) return {};
    return { FAAS_RUNTIME_DIR: this.#machine.bubblewrap ? RUNTIME : runtimeDir };
  }

  #binds(): Bind[] {
    const { home } = placesOf(this.#machine, this.folder, this.function.spec.runtime.path);
    const binds: Bind[] = this.function.homeEntries.map((name) => ({
      from: `${this.function.home}/${name}`,
      to: `${home}/${name}`,
    }));
    binds.push({ from: this.folder.socket, to: SOCKET, writable: true });
    const { runtimeDir, agent } = this.#options;
    if (runtimeDir !== undefined) binds.push({ from: runtimeDir, to: RUNTIME });
    if (agent !== undefined) binds.push({ from: agent, to: AGENT });
    return binds;
  }

  /** Why a process of this cell was killed, where that is known. */
  async outOfMemory(): Promise<CallError | undefined> {
    if (!(await this.cgroup?.outOfMemory())) return undefined;
    const { memoryMb } = this.function.spec.settings;
    return { code: 'OUT_OF_MEMORY', message: `took more than ${memoryMb} MiB of memory` };
  }

  /** Kills what is left in it, and removes it. */
  async remove(): Promise<void> {
    await this.cgroup?.remove();
    await rm(this.folder.root, { recursive: true, force: true, maxRetries: 3 });
    this.#options.onRemoved();
  }
}
