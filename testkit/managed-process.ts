import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { eventually } from './wait.js';

export interface ProcessOptions {
  /** Program and arguments. */
  argv: readonly string[];
  env: Readonly<NodeJS.ProcessEnv>;
  /** The file to which its output is appended. */
  log?: string;
  /** Whether it has a channel to this process, whose end tells it to stop. */
  channel?: boolean;
}

/** Characters of its output that are kept. */
const MAX_SAID = 256 * 1024;

/** A process that is started, killed and started again. */
export class ManagedProcess {
  readonly name: string;
  readonly #options: ProcessOptions;
  #child: ChildProcess | undefined;
  /** What its present life has said. */
  #said = '';

  constructor(name: string, options: ProcessOptions) {
    this.name = name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get alive(): boolean {
    const child = this.#child;
    return child?.exitCode === null && child.signalCode === null;
  }

  /** The last 256 Ki characters of its output since it was started. */
  get said(): string {
    return this.#said;
  }

  start(env: Readonly<NodeJS.ProcessEnv> = {}): void {
    if (this.alive) return;
    const { argv, env: own, log, channel = false } = this.#options;
    const [program, ...args] = argv;
    if (program === undefined) throw new TypeError(`${this.name} has no program`);
    this.#said = '';
    const child = spawn(program, args, {
      env: { ...own, ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...(channel ? (['ipc'] as const) : [])],
    });
    const file = log === undefined ? undefined : createWriteStream(log, { flags: 'a' });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-MAX_SAID);
        file?.write(text);
      });
    }
    child.once('close', () => file?.end());
    this.#child = child;
  }

  /**
   * Resolves once its output holds `text`.
   * @throws Error with its output if it ends before
   */
  async says(text: string): Promise<void> {
    await eventually(`${this.name} says ${text}`, () => {
      if (this.#said.includes(text)) return true;
      if (!this.alive) throw new Error(`${this.name} ended: ${this.#said}`);
      return false;
    });
  }

  /**
   * Sends a message over its channel; resolves with the next one that comes back.
   * @throws TypeError if it has no channel
   */
  async ask(message: string): Promise<unknown> {
    const child = this.#child;
    if (child?.connected !== true) throw new TypeError(`${this.name} has no channel`);
    const answer = once(child, 'message');
    child.send(message);
    return ((await answer) as [unknown])[0];
  }

  signal(signal: NodeJS.Signals): void {
    if (this.alive) this.#child?.kill(signal);
  }

  /** Resolves with its exit code once it has ended. */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended();
  }

  /** Asks it to stop; resolves with its exit code once it has. */
  async stop(): Promise<number | null> {
    this.signal('SIGTERM');
    return await this.ended();
  }
}
