import { dirname } from 'node:path';
import { unlessAborted } from '@panal/support';
import { copyFrom } from '../../cache/folder-cache.js';
import { exitCodeOf } from '../../engine/container.js';
import type { Contract, Session } from '../../contracts/index.js';
import { PlatformError } from '../../errors.js';
import type { RunRequest, RunResult } from '../../contracts/run.js';
import { fillCodeFolder } from './code-folder.js';
import { ContainerSandbox } from './container-sandbox.js';
import type { Containers } from './containers.js';
import type { DockerPrepared } from './prepared.js';
import { AGENT_IN_CONTAINER, type Line, type Transport } from './transport.js';

/** How long a process may take until it serves calls, in ms. A server may have much to load; the agent has nothing. */
const AGENT_READY_MS = 15_000;
const SERVER_READY_MS = 60_000;

/** How long the engine may take to note that a process has ended, in ms. */
const EXIT_WAIT_MS = 2000;

/** A running container with whose process, the agent or a server, the worker speaks over one stream. */
export class ChannelSandbox<C extends Contract = Contract> extends ContainerSandbox<C> {
  readonly #transport: Transport;
  #line: Line | undefined;
  #session: Session | undefined;
  #ready = false;

  constructor(containers: Containers, prepared: DockerPrepared, transport: Transport, contract: C) {
    super(containers, prepared, contract);
    this.#transport = transport;
  }

  override async start(
    signal: AbortSignal,
    onStray: (piece: Uint8Array) => void = () => undefined,
  ): Promise<void> {
    const patience = this.#hasAgent ? AGENT_READY_MS : SERVER_READY_MS;
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const line = await this.#transport.open(this.id, this.#hasAgent, this.codeAt);
    this.#line = line;
    await this.putCode(this.prepared);
    this.followed.onDeath = () => {
      const end = (): void => ended.abort(new Error('the process ended before it was ready'));
      line.drained().then(end, end);
    };
    await this.#startContainer(line, onStray);
    const timer = setTimeout(() => ended.abort(new Error(`not ready within ${patience} ms`)), patience);
    try {
      const session = this.contract.connect(await unlessAborted(line.stream(), either), {
        explain: () => this.followed.explain(this.prepared.memoryMb),
        ...(!this.#hasAgent && { exitCode: () => this.exitCode() }),
      });
      this.#session = session;
      await session.ready(patience, either);
      this.#ready = true;
      session.onClose = () => this.exited();
    } finally {
      clearTimeout(timer);
      this.followed.onDeath = undefined;
    }
  }

  override async run(request: RunRequest): Promise<RunResult> {
    if (this.#session === undefined) throw new PlatformError('SANDBOX_FAILED', 'the sandbox was not started');
    this.followed.beginCall();
    const result = await this.#session.call(request, this.prepared);
    if (result.status === 'FAILED' && !result.reusable && !this.containers.watch.listening) {
      // An engine that comes back kills what ran without it.
      throw new PlatformError('SANDBOX_FAILED', 'the container engine went away during the call');
    }
    // A process that could not be stopped, or broke its connection, may live on: nothing of the call may.
    if (!result.reusable) await this.remove();
    return result;
  }

  /** The exit code of its process; `undefined` where it runs, or never did. */
  protected async exitCode(): Promise<number | undefined> {
    try {
      // Its channel ends before the engine has noted its end.
      const container = this.containers.docker.getContainer(this.id);
      return await exitCodeOf(container, AbortSignal.timeout(EXIT_WAIT_MS));
    } catch {
      return undefined;
    }
  }

  /** Where its container has a folder of the sandbox's own, for the code; `undefined`: nowhere. */
  protected get codeAt(): string | undefined {
    return this.prepared.code === undefined ? undefined : this.prepared.cwd;
  }

  /** Whether it can run a call. */
  protected get alive(): boolean {
    return this.#session?.idle === true && !this.removed;
  }

  protected async putCode({ code }: DockerPrepared): Promise<void> {
    if (code === undefined) return;
    const folder = this.#line?.code;
    if (folder === undefined) throw new TypeError('this sandbox has no folder for code');
    await copyFrom(dirname(code), () => fillCodeFolder(code, folder));
  }

  protected override async dispose(): Promise<boolean> {
    this.#session?.destroy();
    const gone = await super.dispose();
    // What may still run could change the folders while they are removed; the next `reclaim` removes them.
    if (gone) await this.#line?.close();
    return gone;
  }

  /** Whether its process is the agent, and not a server of the function's. */
  get #hasAgent(): boolean {
    return this.contract.server === undefined;
  }

  async #startContainer(line: Line, onStray: (piece: Uint8Array) => void): Promise<void> {
    const blueprint = {
      entrypoint: this.contract.server?.(this.prepared) ?? [AGENT_IN_CONTAINER],
      cwd: this.prepared.cwd,
      env: line.env,
      stdin: line.stdin,
      // The agent reaps what its calls leave behind; a server has something to do it in its place.
      host: { ...line.host, Init: !this.#hasAgent },
    };
    await this.containers.start(this.id, this.prepared, blueprint, (container) =>
      line.attach(container, (piece) => {
        if (this.#ready) this.#session?.addLogs(piece);
        else onStray(piece);
      }),
    );
  }
}
