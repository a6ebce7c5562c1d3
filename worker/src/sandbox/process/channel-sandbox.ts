import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { CallError } from '@panal/protocol';
import type { Contract, Session } from '../../contracts/index.js';
import { listenIn, MAX_SOCKET_PATH, type Listener } from '../../contracts/protocol/listener.js';
import { Output } from '../../contracts/output.js';
import { exited } from '../../contracts/verdict.js';
import { FunctionError, PlatformError } from '../../errors.js';
import { checkRequest, type RunRequest, type RunResult } from '../../contracts/run.js';
import type { Sandbox } from '../sandbox.js';
import type { Cell } from './cell.js';
import type { Exit, Launched } from './launched.js';

/** How long a process may take until it is ready for calls. */
const READY_MS = 30_000;
/** How long a process may take to be gone once its connection is. */
const EXIT_MS = 1000;
/** Bytes kept of what a process prints before it is ready. */
const MAX_START_LOGS = 64 * 1024;

/** A sandbox with whose process, the agent or a server, the worker speaks over one stream. */
export class ChannelSandbox implements Sandbox {
  preloaded = false;
  onExit: (() => void) | undefined;
  readonly cell: Cell;
  readonly #launched: Launched;
  readonly #session: Session;
  readonly #reuses: boolean;
  #removing: Promise<void> | undefined;

  private constructor(cell: Cell, launched: Launched, session: Session, reuses: boolean) {
    this.cell = cell;
    this.#launched = launched;
    this.#session = session;
    this.#reuses = reuses;
    launched.onOutput((piece) => session.addLogs(piece));
    session.onClose = () => {
      if (this.#removing === undefined) this.onExit?.();
    };
  }

  get id(): string {
    return this.cell.id;
  }

  /**
   * Starts the agent of `cell`, or the server of a contract that has one, and waits until it is ready. Removes the cell
   * if that fails.
   * @param reuses whether it serves further calls
   * @throws FunctionError START_FAILED if a server does not get there; PlatformError if the agent does not.
   */
  static async start(
    cell: Cell,
    contract: Contract,
    reuses: boolean,
    signal: AbortSignal,
  ): Promise<ChannelSandbox> {
    const hasServer = contract.server !== undefined;
    const listener = await listenIn(cell.folder.socket);
    const launched = startProcess(cell, contract, cell.socketPath(listener.path, MAX_SOCKET_PATH));
    const output = new Output({ maxOutput: 0, maxLogs: MAX_START_LOGS });
    const onPiece = (piece: Buffer): void => output.addLogs(piece);
    launched.onOutput(onPiece);
    try {
      const deadline = AbortSignal.timeout(READY_MS);
      const socket = await connected(listener, launched, AbortSignal.any([signal, deadline]));
      const exitCode = async (): Promise<number | undefined> => (await exitWithin(launched, EXIT_MS))?.code;
      const session = contract.connect(socket, {
        explain: () => cell.explain(),
        ...(hasServer && { exitCode }),
      });
      await session.ready(READY_MS, signal);
      for (const stream of [launched.child.stdout, launched.child.stderr]) stream?.off('data', onPiece);
      return new ChannelSandbox(cell, launched, session, reuses);
    } catch (cause) {
      // A server that cannot be loaded closes its connection a moment before it ends, and ends by itself.
      if (hasServer && !signal.aborted) await exitWithin(launched, EXIT_MS);
      launched.kill();
      const exit = await launched.exit.catch(() => undefined);
      await launched.drained(EXIT_MS);
      const oom = await cell.explain();
      await cell.remove();
      signal.throwIfAborted();
      throw startError(contract, oom, exit, output.logs, cause);
    } finally {
      await listener.close();
    }
  }

  async run(request: RunRequest): Promise<RunResult> {
    const result = await this.#session.call(request, this.cell.function);
    // The call is over only when nothing of it runs any more.
    if (!result.reusable) await this.#kill();
    return this.#reuses ? result : { ...result, reusable: false };
  }

  async check(command: string[], signal: AbortSignal): Promise<RunResult> {
    return await this.run(checkRequest(command, signal));
  }

  /** Kills it, so that the call in it, if any, fails for `why`. */
  killFor(why: CallError): void {
    this.cell.blame(why);
    this.#launched.kill();
  }

  remove(): Promise<void> {
    this.#removing ??= (async () => {
      this.#session.destroy();
      await this.#kill();
      await this.cell.remove();
    })();
    return this.#removing;
  }

  async #kill(): Promise<void> {
    this.#launched.kill();
    await this.#launched.exit.catch(() => undefined);
  }
}

function startProcess(cell: Cell, contract: Contract, socket: string): Launched {
  const env = { FAAS_SOCKET: socket };
  if (contract.server !== undefined) {
    return cell.start({ argv: contract.server(cell.function), env, stdin: 'ignore' });
  }
  const agent = cell.agentPath;
  if (agent === undefined) throw new TypeError('a cell without an agent');
  return cell.start({ argv: [agent], env, init: true, stdin: 'ignore' });
}

/** The process's connection; fails when the process ends before, or `stop` is aborted. */
async function connected(listener: Listener, launched: Launched, stop: AbortSignal): Promise<Socket> {
  const over = new AbortController();
  try {
    return await Promise.race([
      listener.connection,
      launched.exit.then(() => Promise.reject(new Error('ended before it connected'))),
      stop.aborted
        ? Promise.reject(new Error('aborted'))
        : once(stop, 'abort', { signal: over.signal }).then(() =>
            Promise.reject(new Error('did not connect in time')),
          ),
    ]);
  } finally {
    over.abort();
  }
}

async function exitWithin(launched: Launched, ms: number): Promise<Exit | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  const exit = await Promise.race([launched.exit, late]);
  clearTimeout(timer);
  return exit;
}

function startError(
  contract: Contract,
  oom: CallError | undefined,
  exit: Exit | undefined,
  logs: Uint8Array,
  cause: unknown,
): Error {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (contract.server === undefined) {
    const said = Buffer.from(logs).toString().trim();
    return new PlatformError('SANDBOX_FAILED', `the agent did not start: ${why} ${said}`.trim(), { cause });
  }
  if (oom !== undefined) return new FunctionError(oom.code, oom.message, logs, exit?.code);
  const how =
    exit === undefined
      ? why
      : (exited(exit.code).error?.message ?? 'exited with code 0') + contract.lastWords(logs);
  return new FunctionError('START_FAILED', `${contract.noun} did not start: ${how}`, logs, exit?.code);
}
