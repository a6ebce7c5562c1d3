import { exitCodeOf } from '../../engine/container.js';
import { engineFailure, messageOf, statusOf } from '../../engine/errors.js';
import { Tail } from '../../images/tail.js';
import { FunctionError } from '../sandbox.js';
import { ChannelSandbox } from './channel-sandbox.js';
import type { Containers } from './containers.js';
import { SIGKILLED } from './engine-call.js';
import type { DockerPrepared } from './prepared.js';
import type { Transport } from './transport.js';

/** How long the engine may take to note that a process has ended, in ms. */
const EXIT_WAIT_MS = 2000;

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
    const status = statusOf(cause);
    // Docker answers 400 where the image has no shell; any other refusal is the engine's own trouble.
    if (status !== undefined && status !== 400) return engineFailure('starting a sandbox', cause);
    if (status === undefined && !(await this.#engineAnswers()))
      return engineFailure('starting a sandbox', cause);
    const exitCode = await this.#exitCode();
    const known = exitCode === SIGKILLED ? await this.followed.explain(this.prepared.memoryMb) : undefined;
    const message = `the handler did not start: ${messageOf(cause)}`;
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

  /** The exit code of the handler; `undefined` where it runs, or never did. */
  async #exitCode(): Promise<number | undefined> {
    try {
      // Its channel ends before the engine has noted its end.
      const container = this.containers.docker.getContainer(this.id);
      return await exitCodeOf(container, AbortSignal.timeout(EXIT_WAIT_MS));
    } catch {
      return undefined;
    }
  }
}
