import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../testkit/wait.js';

const FIXTURE = fileURLToPath(new URL('fixtures/panal.ts', import.meta.url));

/** The loader by its own address, for the command runs in folders from which its name is not found. */
const FROM_SOURCE = [
  process.execPath,
  `--import=${import.meta.resolve('tsx')}`,
  '--conditions=@panal/source',
  FIXTURE,
];

/** Longer than any run takes beside other work. */
const PATIENCE_MS = 100_000;

/** How a run of the command ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  /** The same to the byte. */
  bytes: Buffer;
  stderr: string;
}

export interface RunOptions {
  cwd: string;
  env?: Record<string, string>;
  input?: string | Uint8Array;
  /** The program and its first arguments; by default the command's source. */
  command?: readonly string[];
}

/** The `panal` command as a child process. */
export class PanalRun {
  readonly child: ChildProcess;
  readonly #chunks: Buffer[] = [];
  stderr = '';

  constructor(args: readonly string[], options: RunOptions) {
    const { cwd, env = {}, input, command = FROM_SOURCE } = options;
    const [program = '', ...first] = command;
    const base = { PATH: process.env.PATH, HOME: cwd, XDG_CONFIG_HOME: `${cwd}/.config` };
    const child = spawn(program, [...first, ...args], { cwd, env: { ...base, ...env }, stdio: 'pipe' });
    child.stdout.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    child.stdin.end(input);
    this.child = child;
  }

  get stdout(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  async end(): Promise<Ended> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    const bytes = Buffer.concat(this.#chunks);
    return { code: this.child.exitCode, stdout: bytes.toString(), bytes, stderr: this.stderr };
  }

  /** Waits until it has put out something like this, on either stream. */
  async says(what: RegExp): Promise<void> {
    await eventually(
      `panal says ${what.source}`,
      () => {
        if (this.child.exitCode !== null) throw new Error(`panal ended: ${this.stdout}${this.stderr}`);
        return what.test(this.stdout) || what.test(this.stderr);
      },
      PATIENCE_MS,
    );
  }
}

/** Runs the command to its end. */
export async function panal(args: readonly string[], options: RunOptions): Promise<Ended> {
  return await new PanalRun(args, options).end();
}
