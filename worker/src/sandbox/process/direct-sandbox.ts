import type { CallError } from '@panal/protocol';
import { ActiveCall } from '../../contracts/active-call.js';
import { exited, failed, killed, neverRun, stopped, type Verdict } from '../../contracts/verdict.js';
import type { CommandContract } from '../../contracts/index.js';
import { PlatformError } from '../../errors.js';
import { checkRequest, type RunRequest, type RunResult } from '../../contracts/run.js';
import type { Sandbox } from '../sandbox.js';
import type { Cell } from './cell.js';
import type { Exit, Launched } from './launched.js';

/** How long the output of a call may stay open once its process is gone and everything of it killed. */
const DRAIN_MS = 500;
const SIGKILLED = 128 + 9;

/** A sandbox without an agent: a folder, in which the worker starts a process of its own for each call. */
export class DirectSandbox implements Sandbox {
  preloaded = false;
  /** Called only for `killFor`: while idle there is no process that could die. */
  onExit: (() => void) | undefined;
  readonly cell: Cell;
  readonly #contract: CommandContract;
  readonly #reuses: boolean;
  #running: Launched | undefined;
  #spent = false;
  #removing: Promise<void> | undefined;

  /** @param reuses whether it serves further calls */
  constructor(cell: Cell, contract: CommandContract, reuses: boolean) {
    this.cell = cell;
    this.#contract = contract;
    this.#reuses = reuses;
  }

  get id(): string {
    return this.cell.id;
  }

  async run(request: RunRequest): Promise<RunResult> {
    if (this.#removing !== undefined) throw new PlatformError('SANDBOX_FAILED', 'the sandbox was removed');
    if (request.signal.aborted) return neverRun(request);
    const target = this.cell.function;
    const argv = this.#contract.shellCommand(target, request);
    return this.#contract.explained(target, argv, await this.#serve(argv, request));
  }

  async #serve(argv: readonly string[], request: RunRequest): Promise<RunResult> {
    const reusable = this.#reuses;
    return await new Promise((resolve, reject) => {
      const launched = this.cell.start({ argv, env: request.env, stdin: 'pipe' });
      this.#running = launched;
      const call = new ActiveCall(request, resolve, () => launched.kill());
      feed(launched, call);
      this.#end(launched)
        .then((verdict) => call.settle(verdict, reusable && !this.#spent && this.#removing === undefined))
        .catch((error: unknown) => {
          call.settle(stopped('cancel', request), false);
          reject(
            new PlatformError('SANDBOX_FAILED', 'the process of the call did not start', { cause: error }),
          );
        });
    });
  }

  async check(command: string[], signal: AbortSignal): Promise<RunResult> {
    return await this.run(checkRequest(command, signal));
  }

  /** Waits for the end of the call's process, and leaves nothing of it. */
  async #end(launched: Launched): Promise<Verdict> {
    const exit = await launched.exit;
    launched.kill();
    await this.cell.cgroup?.kill();
    await launched.drained(DRAIN_MS);
    this.#running = undefined;
    return await this.#verdict(exit);
  }

  async #verdict({ code, signalled }: Exit): Promise<Verdict> {
    const oom = code === SIGKILLED ? await this.cell.explain() : undefined;
    if (oom !== undefined) return failed(oom, code);
    return signalled ? killed(code) : exited(code);
  }

  /** Fails the call in it, if any, for `why`, and serves no other. */
  killFor(why: CallError): void {
    this.cell.blame(why);
    this.#spent = true;
    if (this.#running === undefined) this.onExit?.();
    else this.#running.kill();
  }

  remove(): Promise<void> {
    this.#removing ??= (async () => {
      const running = this.#running;
      if (running !== undefined) {
        running.kill();
        await running.exit.catch(() => undefined);
      }
      await this.cell.remove();
    })();
    return this.#removing;
  }
}

function feed({ child }: Launched, call: ActiveCall): void {
  // A process may end, or close its stdin, without reading all of it.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(call.request.body);
  child.stdout?.on('data', (piece: Buffer) => call.addResult(piece));
  child.stderr?.on('data', (piece: Buffer) => call.output.addLogs(piece));
}
