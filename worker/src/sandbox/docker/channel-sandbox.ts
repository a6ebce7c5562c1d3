import { dirname } from 'node:path';
import { unlessAborted } from '@panal/support';
import { copyFrom } from '../../cache/folder-cache.js';
import { exitCodeOf } from '../../engine/container.js';
import { Channel } from '../../contracts/protocol/channel.js';
import { PlatformError } from '../../errors.js';
import type { RunRequest, RunResult } from '../sandbox.js';
import { fillCodeFolder } from './code-folder.js';
import { ContainerSandbox } from './container-sandbox.js';
import type { Containers } from './containers.js';
import type { DockerPrepared } from './prepared.js';
import { AGENT_IN_CONTAINER, type Line, type Transport } from './transport.js';

/** How long a process may take until it serves calls. A handler may have much to load; the agent has nothing. */
const READY_WITHIN_MS = { agent: 15_000, handler: 60_000 };

/** How long the engine may take to note that a process has ended, in ms. */
const EXIT_WAIT_MS = 2000;

/** A running container whose process, the agent or a handler, speaks the runtime protocol. */
export class ChannelSandbox extends ContainerSandbox {
  readonly #transport: Transport;
  readonly #kind: 'agent' | 'handler';
  #line: Line | undefined;
  #channel: Channel | undefined;
  #ready = false;

  constructor(
    containers: Containers,
    prepared: DockerPrepared,
    transport: Transport,
    kind: 'agent' | 'handler',
  ) {
    super(containers, prepared);
    this.#transport = transport;
    this.#kind = kind;
  }

  override async start(
    signal: AbortSignal,
    onStray: (piece: Uint8Array) => void = () => undefined,
  ): Promise<void> {
    const patience = READY_WITHIN_MS[this.#kind];
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const line = await this.#transport.open(this.id, this.#kind === 'agent', this.codeAt);
    this.#line = line;
    await this.putCode(this.prepared);
    this.followed.onDeath = () => {
      const end = (): void => ended.abort(new Error('the process ended before it was ready'));
      line.drained().then(end, end);
    };
    await this.#startContainer(line, onStray);
    const timer = setTimeout(() => ended.abort(new Error(`not ready within ${patience} ms`)), patience);
    try {
      const channel = new Channel(await unlessAborted(line.stream(), either), {
        explain: () => this.followed.explain(this.prepared.memoryMb),
        ...(this.#kind === 'handler' && { exitCode: () => this.exitCode() }),
      });
      this.#channel = channel;
      await channel.ready(patience, either);
      this.#ready = true;
      channel.onClose = () => this.exited();
    } finally {
      clearTimeout(timer);
      this.followed.onDeath = undefined;
    }
  }

  override async run(request: RunRequest): Promise<RunResult> {
    if (this.#channel === undefined) throw new PlatformError('SANDBOX_FAILED', 'the sandbox was not started');
    this.followed.beginCall();
    const argv = this.#kind === 'agent' ? this.prepared.command(request) : [];
    const ended = await this.#channel.run(request, this.prepared.spec, argv, this.prepared.cwd);
    const result = this.prepared.told(argv, ended);
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
    return this.#channel?.idle === true && !this.removed;
  }

  protected async putCode({ code }: DockerPrepared): Promise<void> {
    if (code === undefined) return;
    const folder = this.#line?.code;
    if (folder === undefined) throw new TypeError('this sandbox has no folder for code');
    await copyFrom(dirname(code), () => fillCodeFolder(code, folder));
  }

  protected override async dispose(): Promise<boolean> {
    this.#channel?.destroy();
    const gone = await super.dispose();
    // What may still run could change the folders while they are removed; the next `reclaim` removes them.
    if (gone) await this.#line?.close();
    return gone;
  }

  async #startContainer(line: Line, onStray: (piece: Uint8Array) => void): Promise<void> {
    const agent = this.#kind === 'agent';
    const blueprint = {
      entrypoint: agent ? [AGENT_IN_CONTAINER] : this.prepared.handler(),
      cwd: this.prepared.cwd,
      env: line.env,
      stdin: line.stdin,
      // The agent reaps what its calls leave behind; a handler has something to do it in its place.
      host: { ...line.host, Init: !agent },
    };
    await this.containers.start(this.id, this.prepared, blueprint, (container) =>
      line.attach(container, (piece) => {
        if (this.#ready) this.#channel?.addLogs(piece);
        else onStray(piece);
      }),
    );
  }
}
