import { engineFailure, faultIn, messageOf, statusOf } from '../../engine/errors.js';
import { Tail } from '../../output/tail.js';
import type { ServerContract } from '../../contracts/index.js';
import { exited, startExitCode } from '../../contracts/verdict.js';
import { FunctionError } from '../../errors.js';
import { ChannelSandbox } from './channel-sandbox.js';
import { SIGKILLED } from './engine-call.js';

/** Bytes kept of what a server writes while it starts. */
const START_LOGS = 64 * 1024;

/** A container whose process is a server of the function's own. Its owner learns why it does not start. */
export class ServerSandbox extends ChannelSandbox<ServerContract> {
  override async start(signal: AbortSignal): Promise<void> {
    const written = new Tail(START_LOGS);
    try {
      await super.start(signal, (piece) => written.add(piece));
    } catch (cause) {
      signal.throwIfAborted();
      throw await this.#failure(cause, written);
    }
  }

  async #failure(cause: unknown, written: Tail): Promise<Error> {
    if (cause instanceof FunctionError) return cause;
    const { noun } = this.contract;
    const fault = faultIn(cause);
    if (fault !== undefined) {
      const message = `${noun} did not start: ${fault}`;
      return new FunctionError('START_FAILED', message, written.bytes, startExitCode(fault));
    }
    // Any other refusal is the engine's own trouble.
    if (statusOf(cause) !== undefined || !(await this.#engineAnswers()))
      return engineFailure('starting a sandbox', cause);
    const exitCode = await this.exitCode();
    const known = exitCode === SIGKILLED ? await this.followed.explain(this.prepared.memoryMb) : undefined;
    const how =
      exitCode === undefined ? messageOf(cause) : (exited(exitCode).error?.message ?? 'exited with code 0');
    const message = `${noun} did not start: ${how}${exitCode === undefined ? '' : this.contract.lastWords(written.bytes)}`;
    const error = known ?? { code: 'START_FAILED' as const, message };
    return new FunctionError(error.code, error.message, written.bytes, exitCode);
  }

  /** Whether it can have been the server's own fault. */
  async #engineAnswers(): Promise<boolean> {
    try {
      await this.containers.docker.ping();
      return true;
    } catch {
      return false;
    }
  }
}
