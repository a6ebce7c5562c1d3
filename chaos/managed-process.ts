import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

export interface ProcessOptions {
  /** Program and arguments. */
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** What it says is appended to this file. */
  log: string;
}

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

  get said(): string {
    return this.#said;
  }

  start(env: Readonly<Record<string, string>> = {}): void {
    if (this.alive) return;
    const [program, ...args] = this.#options.argv;
    if (program === undefined) throw new TypeError(`${this.name} has no program`);
    this.#said = '';
    const child = spawn(program, args, {
      env: { ...this.#options.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(this.#options.log, { flags: 'a' });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-64 * 1024);
        log.write(text);
      });
    }
    child.once('close', () => log.end());
    this.#child = child;
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
