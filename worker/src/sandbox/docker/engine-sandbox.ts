import type { Container } from 'dockerode';
import type { Duplex } from 'node:stream';
import { attach, exitCodeOf } from '../../engine/container.js';
import { engineFailure, faultIn } from '../../engine/errors.js';
import type { CommandContract } from '../../contracts/index.js';
import { ActiveCall } from '../../contracts/active-call.js';
import { notStarted, type Verdict } from '../../contracts/verdict.js';
import { PlatformError } from '../../errors.js';
import type { RunRequest, RunResult } from '../../contracts/run.js';
import { ContainerSandbox } from './container-sandbox.js';
import { converse, verdictOf } from './engine-call.js';

interface Running {
  container: Container;
  stream: Duplex;
}

/**
 * The way without the agent: the container is made when its one call comes, for the engine wants to know the command
 * beforehand. Slow, but needs nothing beyond the engine.
 */
export class EngineSandbox extends ContainerSandbox<CommandContract> {
  override async start(): Promise<void> {
    // Its container comes with the call.
  }

  override async run(request: RunRequest): Promise<RunResult> {
    if (this.removed) throw new PlatformError('SANDBOX_FAILED', 'the sandbox was removed');
    const argv = this.contract.command(this.prepared, request);
    try {
      return this.contract.explained(
        this.prepared,
        argv,
        await this.#serve(request, await this.#startFor(argv, request)),
      );
    } catch (cause) {
      const fault = faultIn(cause);
      if (fault !== undefined) return withoutOutput(notStarted(fault));
      throw engineFailure('running a container', cause);
    } finally {
      await this.remove();
    }
  }

  async #startFor(argv: string[], request: RunRequest): Promise<Running> {
    const blueprint = {
      entrypoint: argv,
      cwd: this.prepared.cwd,
      env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
      stdin: true,
      // The kernel protects the first process from its own signals. The engine's init would hand a file that the kernel
      // does not execute to a shell, so it starts nothing but a shell.
      host: { Init: argv[0] === '/bin/sh' },
    };
    return await this.containers.start(this.id, this.prepared, blueprint, async (container) => ({
      container,
      stream: await attach(container, { stdin: true, stdout: true, stderr: true }),
    }));
  }

  async #serve(request: RunRequest, { container, stream }: Running): Promise<RunResult> {
    return await new Promise<RunResult>((resolve, reject) => {
      // The one way to stop a process through the engine is to kill its container; its streams end then.
      const call = new ActiveCall(request, resolve, () => {
        void this.remove().then(() => stream.destroy());
      });
      const serve = async (): Promise<void> => {
        await converse(stream, call);
        const exitCode = call.stop === undefined ? await exitCodeOf(container) : 0;
        const explain = () => this.followed.explain(this.prepared.memoryMb);
        call.settle(await verdictOf(exitCode, call.output, explain), false);
      };
      serve().catch(reject);
    });
  }
}

function withoutOutput(verdict: Verdict): RunResult {
  const nothing = new Uint8Array(0);
  return { ...verdict, result: nothing, logs: nothing, runMs: 0, reusable: false };
}
