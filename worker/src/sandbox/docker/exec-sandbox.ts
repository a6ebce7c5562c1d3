import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { Exec } from 'dockerode';
import { asDuplex, attach } from '../../engine/container.js';
import { engineFailure } from '../../engine/errors.js';
import { ActiveCall } from '../protocol/active-call.js';
import { PlatformError, type RunRequest, type RunResult } from '../sandbox.js';
import { ContainerSandbox } from './container-sandbox.js';
import { converse, verdictOf } from './engine-call.js';

/** Keeps a container up, in any image that has a shell, for as long as its stdin is open: no longer than its worker lives. */
const KEEP_ALIVE = ['/bin/sh', '-c', 'read -r _'];
/** The processes of an idle container: the engine's init, and the shell. */
const IDLE_PROCESSES = 2;
/** Whose process keeps the container up: without capabilities not even root can signal or trace another's. */
const KEEPER = '65534:65534';
const EXIT_POLL_MS = 5;

/**
 * A kept container in which the engine starts a process for each call (`docker exec`): `warm` without the agent. A
 * process that the call left behind would see the next call, so a container with one in it is not used again.
 */
export class ExecSandbox extends ContainerSandbox {
  #stdin: Duplex | undefined;

  override async start(): Promise<void> {
    this.followed.onDeath = () => this.exited();
    const blueprint = { entrypoint: KEEP_ALIVE, cwd: '/', user: KEEPER, stdin: true, host: { Init: true } };
    this.#stdin = await this.containers.start(this.id, this.prepared, blueprint, async (container) => {
      const stdin = await attach(container, { stdin: true });
      // It breaks with its container.
      return stdin.on('error', () => undefined);
    });
  }

  override async run(request: RunRequest): Promise<RunResult> {
    if (this.removed) throw new PlatformError('SANDBOX_FAILED', 'the sandbox was removed');
    this.followed.beginCall();
    try {
      const result = await this.#serve(request, await this.#createExec(request));
      if (!result.reusable) await this.remove();
      return result;
    } catch (cause) {
      await this.remove();
      throw engineFailure('running a process in a sandbox', cause);
    }
  }

  protected override async dispose(): Promise<boolean> {
    this.#stdin?.destroy();
    return await super.dispose();
  }

  async #createExec(request: RunRequest): Promise<Exec> {
    const { cwd, image } = this.prepared;
    return await this.containers.docker.getContainer(this.id).exec({
      Cmd: this.prepared.command(request),
      Env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
      ...(cwd !== undefined && { WorkingDir: cwd }),
      User: image.user === '' ? '0' : image.user,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
  }

  async #serve(request: RunRequest, exec: Exec): Promise<RunResult> {
    const stream = asDuplex(await exec.start({ hijack: true, stdin: true }));
    return await new Promise<RunResult>((resolve, reject) => {
      // The engine cannot kill the process alone, only its container.
      const call = new ActiveCall(request, resolve, () => {
        void this.remove().then(() => stream.destroy());
      });
      const serve = async (): Promise<void> => {
        await converse(stream, call);
        const exitCode = call.stop === undefined ? await exitCodeOf(exec) : 0;
        const explain = () => this.followed.explain(this.prepared.memoryMb);
        const verdict = await verdictOf(exitCode, explain);
        call.settle(verdict, await this.#isIdle());
      };
      serve().catch(reject);
    });
  }

  /** Whether nothing of the call is left. */
  async #isIdle(): Promise<boolean> {
    if (this.removed) return false;
    // The engine refuses where the container was killed.
    const container = this.containers.docker.getContainer(this.id);
    const answer: unknown = await container.top().catch(() => undefined);
    if (typeof answer !== 'object' || answer === null || !('Processes' in answer)) return false;
    return Array.isArray(answer.Processes) && answer.Processes.length <= IDLE_PROCESSES;
  }
}

/** The process may outlive its streams; there is nothing to wait for but to ask again. */
async function exitCodeOf(exec: Exec): Promise<number> {
  for (;;) {
    const { Running, ExitCode } = await exec.inspect();
    if (!Running && ExitCode !== null) return ExitCode;
    await pause(EXIT_POLL_MS);
  }
}
