import { engineFailure, faultIn, messageOf, statusOf } from '../../engine/errors.js';
import { Tail } from '../../output/tail.js';
import { lastWords } from '../../contracts/handler/last-words.js';
import { exited, startExitCode } from '../../contracts/verdict.js';
import { FunctionError } from '../../errors.js';
import { ChannelSandbox } from './channel-sandbox.js';
import type { Containers } from './containers.js';
import { SIGKILLED } from './engine-call.js';
import type { DockerPrepared } from './prepared.js';
import type { Transport } from './transport.js';

/** Bytes kept of what a handler writes while it starts. */
const START_LOGS = 64 * 1024;

/** A container whose process is the function's own handler: `hot`. What keeps it from starting is told to its owner. */
export class HandlerSandbox extends ChannelSandbox {
  constructor(containers: Containers, prepared: DockerPrepared, transport: Transport) {
    super(containers, prepared, transport, 'handler');
  }

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
    const fault = faultIn(cause);
    if (fault !== undefined) {
      const message = `the handler did not start: ${fault}`;
      return new FunctionError('START_FAILED', message, written.bytes, startExitCode(fault));
    }
    // Any other refusal is the engine's own trouble.
    if (statusOf(cause) !== undefined || !(await this.#engineAnswers()))
      return engineFailure('starting a sandbox', cause);
    const exitCode = await this.exitCode();
    const known = exitCode === SIGKILLED ? await this.followed.explain(this.prepared.memoryMb) : undefined;
    const how =
      exitCode === undefined ? messageOf(cause) : (exited(exitCode).error?.message ?? 'exited with code 0');
    const message = `the handler did not start: ${how}${exitCode === undefined ? '' : lastWords(written.bytes)}`;
    const error = known ?? { code: 'START_FAILED' as const, message };
    return new FunctionError(error.code, error.message, written.bytes, exitCode);
  }

  /** Whether it can have been the handler's own fault. */
  async #engineAnswers(): Promise<boolean> {
    try {
      await this.containers.docker.ping();
      return true;
    } catch {
      return false;
    }
  }
}
