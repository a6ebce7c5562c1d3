import { setTimeout as pause } from 'node:timers/promises';
import type { Exec } from 'dockerode';
import { asDuplex } from '../../engine/container.js';
import { engineFailure } from '../../engine/errors.js';
import { ActiveCall } from '../protocol/active-call.js';
import { PlatformError, type RunRequest, type RunResult } from '../sandbox.js';
import { ContainerSandbox } from './container-sandbox.js';
import { converse, verdictOf } from './engine-call.js';

/** Keeps a container up, in any image that has a shell. */
const KEEP_ALIVE = ['/bin/sh', '-c', 'while :; do sleep 3600; done'];
/** The processes of an idle container: the engine's init, the shell, its sleep. */
const IDLE_PROCESSES = 3;
const EXIT_POLL_MS = 5;

/**
 * A kept container in which the engine starts a process for each call (`docker exec`): `warm` without the agent. A
 * process that the call left behind would see the next call, so a container with one in it is not used again.
 */
export class ExecSandbox extends ContainerSandbox {
  override async start(): Promise<void> {
    this.followed.onDeath = () => this.exited();
    const { cwd } = this.prepared;
    const blueprint = { entrypoint: KEEP_ALIVE, cwd, host: { Init: true } };
    await this.containers.start(this.id, this.prepared, blueprint, async () => undefined);
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

  async #createExec(request: RunRequest): Promise<Exec> {
    const { cwd } = this.prepared;
    return await this.containers.docker.getContainer(this.id).exec({
      Cmd: this.prepared.command(request),
      Env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
      ...(cwd !== undefined && { WorkingDir: cwd }),
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
    const answer: unknown = await this.containers.docker.getContainer(this.id).top();
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
