import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Exec } from 'dockerode';
import { asDuplex, attach } from '../../engine/container.js';
import { engineFailure } from '../../engine/errors.js';
import type { CommandContract } from '../../contracts/index.js';
import { ActiveCall } from '../../contracts/active-call.js';
import { PlatformError } from '../../errors.js';
import type { RunRequest, RunResult } from '../../contracts/run.js';
import { ContainerSandbox } from './container-sandbox.js';
import { converse, verdictOf } from './engine-call.js';
import { StdioStream } from './stdio-stream.js';

/**
 * Keeps a container up, in any image that has a shell, for as long as its stdin is open: no longer than its worker lives.
 * Answers each line with the number of its container's processes as the kernel counts them (cgroup v2 or v1). A list of
 * them, as from `docker top`, can miss one that forks and ends all the time.
 */
const KEEP_ALIVE = `while read -r _; do
  processes=
  for count in /sys/fs/cgroup/pids.current /sys/fs/cgroup/pids/pids.current; do
    [ -r $count ] && read -r processes < $count
  done
  echo "$processes"
done`;
/** The processes of an idle container: the engine's init, and the shell. */
const IDLE_PROCESSES = 2;
const ANSWER_MS = 1000;
/** Whose process keeps the container up: without capabilities not even root can signal or trace another's. */
const KEEPER = '65534:65534';
const EXIT_POLL_MS = 5;

/**
 * A kept container in which the engine starts a process for each call (`docker exec`): `warm` without the agent. A
 * process that the call left behind would see the next call, so a container with one in it is not used again.
 */
export class ExecSandbox extends ContainerSandbox<CommandContract> {
  #keeper: StdioStream | undefined;
  readonly #gone = new AbortController();

  override async start(): Promise<void> {
    this.followed.onDeath = () => this.exited();
    const entrypoint = ['/bin/sh', '-c', KEEP_ALIVE];
    const blueprint = { entrypoint, cwd: '/', user: KEEPER, stdin: true, host: { Init: true } };
    this.#keeper = await this.containers.start(this.id, this.prepared, blueprint, async (container) => {
      const streams = await attach(container, { stdin: true, stdout: true });
      const keeper = new StdioStream(streams, () => undefined);
      // It breaks with its container.
      return keeper.on('error', () => undefined).on('close', () => this.#gone.abort());
    });
  }

  override async run(request: RunRequest): Promise<RunResult> {
    if (this.removed) throw new PlatformError('SANDBOX_FAILED', 'the sandbox was removed');
    this.followed.beginCall();
    try {
      const argv = this.contract.command(this.prepared, request);
      const ended = await this.#serve(request, await this.#createExec(argv, request));
      const result = this.contract.explained(this.prepared, argv, ended);
      if (!result.reusable) await this.remove();
      return result;
    } catch (cause) {
      await this.remove();
      throw engineFailure('running a process in a sandbox', cause);
    }
  }

  protected override async dispose(): Promise<boolean> {
    this.#keeper?.destroy();
    return await super.dispose();
  }

  async #createExec(argv: string[], request: RunRequest): Promise<Exec> {
    const { cwd, image } = this.prepared;
    return await this.containers.docker.getContainer(this.id).exec({
      Cmd: argv,
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
        const verdict = await verdictOf(exitCode, call.output, explain);
        call.settle(verdict, await this.#isIdle());
      };
      serve().catch(reject);
    });
  }

  /** Whether nothing of the call is left. */
  async #isIdle(): Promise<boolean> {
    if (this.removed || this.#keeper === undefined) return false;
    const signal = AbortSignal.any([this.#gone.signal, AbortSignal.timeout(ANSWER_MS)]);
    const answer = once(this.#keeper, 'data', { signal });
    this.#keeper.write('\n');
    return await answer.then(
      ([line]) => Number(line) === IDLE_PROCESSES,
      () => false,
    );
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
