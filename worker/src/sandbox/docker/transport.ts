import { once } from 'node:events';
import { chmod, mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Container, HostConfig, MountSettings } from 'dockerode';
import { removeTree } from '@panal/support';
import { attach } from '../../engine/container.js';
import { demultiplex } from '../../engine/demux.js';
import type { ToHost } from '../../engine/host-paths.js';
import { archive } from '../../engine/archive.js';
import { listenIn, SOCKET_NAME, type Listener } from '../../contracts/protocol/listener.js';
import { StdioStream } from './stdio-stream.js';

/** Where a container has the agent, and the folder of its socket. */
export const AGENT_IN_CONTAINER = '/.panal/agent';
const RUN_IN_CONTAINER = '/.panal/run';
/** In the folder of a sandbox, what its container has as the folder of its code. */
export const CODE_FOLDER = 'code';

/** Is handed what the process writes outside the protocol. */
export type OnStray = (piece: Buffer) => void;

/** How the process in one sandbox and the worker reach each other. */
export interface Line {
  /** What its container is created with. */
  readonly env: readonly string[];
  readonly stdin: boolean;
  readonly host: HostConfig;
  /** Folder that the container has where its code belongs; `undefined` where none was asked for, or can be had. */
  readonly code: string | undefined;
  /** Connects what is to be connected before the container starts. */
  attach(container: Container, onStray: OnStray): Promise<void>;
  /** The stream to the process, once it is there. */
  stream(): Promise<Duplex>;
  /** Resolves when all that a process which ended had written was handed on. */
  drained(): Promise<void>;
  /** Lets go of everything. May be called twice. */
  close(): Promise<void>;
}

/** Opens lines to sandboxes. */
export interface Transport {
  /**
   * @param agent whether the sandbox's process is the agent, which is put into its container, or a handler
   * @param codeAt where the container is to have a writable folder of its own
   */
  open(name: string, agent: boolean, codeAt?: string): Promise<Line>;
}

/** Lines over unix sockets, each in a folder of its own that is mounted into the container. */
export class SocketTransport implements Transport {
  readonly #folder: string;
  readonly #agent: string | undefined;
  readonly #toHost: ToHost;

  constructor(options: { folder: string; agent: string | undefined; toHost: ToHost }) {
    this.#folder = options.folder;
    this.#agent = options.agent;
    this.#toHost = options.toHost;
  }

  async open(name: string, agent: boolean, codeAt?: string): Promise<Line> {
    const folder = join(this.#folder, name);
    const run = await openFolder(folder, 'run');
    // Read-only, so that nothing is left in it; a socket can be connected to all the same.
    const mounts = [this.#mount(run, RUN_IN_CONTAINER, true)];
    if (agent && this.#agent !== undefined) mounts.push(this.#mount(this.#agent, AGENT_IN_CONTAINER, true));
    const code = codeAt === undefined ? undefined : await openFolder(folder, CODE_FOLDER);
    if (code !== undefined && codeAt !== undefined) mounts.push(this.#mount(code, codeAt, false));
    return new SocketLine({ folder, code, listener: await listenIn(run), mounts, agent });
  }

  #mount(path: string, target: string, readOnly: boolean): MountSettings {
    return { Type: 'bind', Source: this.#toHost(path), Target: target, ReadOnly: readOnly };
  }
}

/** A folder that an image's user, whoever that is, can read; others are kept out by the folders above. */
async function openFolder(parent: string, name: string): Promise<string> {
  const folder = join(parent, name);
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  return folder;
}

class SocketLine implements Line {
  readonly env = [`FAAS_SOCKET=${RUN_IN_CONTAINER}/${SOCKET_NAME}`];
  readonly stdin = false;
  readonly host: HostConfig;
  readonly code: string | undefined;
  readonly #folder: string;
  readonly #listener: Listener;
  readonly #agent: boolean;
  #output: Duplex | undefined;
  #drained = Promise.resolve();

  constructor(options: {
    folder: string;
    code: string | undefined;
    listener: Listener;
    mounts: MountSettings[];
    agent: boolean;
  }) {
    this.#folder = options.folder;
    this.code = options.code;
    this.#listener = options.listener;
    this.#agent = options.agent;
    this.host = { Mounts: options.mounts };
  }

  async attach(container: Container, onStray: OnStray): Promise<void> {
    // The agent hands on what its calls write; what a handler writes by itself would be lost.
    if (this.#agent) return;
    this.#output = await attach(container, { stdout: true, stderr: true });
    this.#drained = demultiplex(this.#output, { stdout: onStray, stderr: onStray });
  }

  async stream(): Promise<Duplex> {
    return await this.#listener.connection;
  }

  async drained(): Promise<void> {
    await this.#drained;
  }

  async close(): Promise<void> {
    this.#output?.destroy();
    await this.#listener.close();
    await removeTree(this.#folder);
  }
}

/** Lines over the stdin and stdout of the container, for an engine that cannot mount what is here. */
export class StdioTransport implements Transport {
  readonly #agent: string | undefined;

  constructor(agent: string | undefined) {
    this.#agent = agent;
  }

  async open(_name: string, agent: boolean): Promise<Line> {
    return new StdioLine(agent ? this.#agent : undefined);
  }
}

class StdioLine implements Line {
  readonly env = [];
  readonly stdin = true;
  readonly host = {};
  readonly code = undefined;
  readonly #agent: string | undefined;
  #stream: StdioStream | undefined;

  constructor(agent: string | undefined) {
    this.#agent = agent;
  }

  async attach(container: Container, onStray: OnStray): Promise<void> {
    if (this.#agent !== undefined) await putAgent(container, this.#agent);
    const attached = await attach(container, { stdin: true, stdout: true, stderr: true });
    this.#stream = new StdioStream(attached, onStray);
  }

  async stream(): Promise<Duplex> {
    if (this.#stream === undefined) throw new TypeError('a line is attached before it is used');
    return this.#stream;
  }

  async drained(): Promise<void> {
    if (this.#stream?.closed === false) await once(this.#stream, 'close');
  }

  async close(): Promise<void> {
    this.#stream?.destroy();
  }
}

async function putAgent(container: Container, agent: string): Promise<void> {
  const prefix = dirname(AGENT_IN_CONTAINER).slice(1);
  await container.putArchive(archive(dirname(agent), [basename(agent)], prefix), { path: '/' });
}
