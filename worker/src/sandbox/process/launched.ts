import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';

/** How a process ended: its code, or 128 + the number of the signal that killed it. */
export interface Exit {
  code: number;
  signalled: boolean;
}

/** What to start, ready for `spawn`. */
export interface Command {
  argv: readonly [string, ...string[]];
  env: Readonly<Record<string, string>>;
  cwd: string;
  /** Written to descriptors 3 and on, which the program reads and closes. */
  inputs: readonly (string | Uint8Array)[];
  /** How many times it becomes bubblewrap, one below the other, with the sandbox's first process below the last. */
  wrappers: number;
}

/** A process of this worker, in a group of its own. */
export class Launched {
  readonly child: ChildProcess;
  /** Resolves when the process is gone; rejects when it could not be started. */
  readonly exit: Promise<Exit>;
  readonly #wrappers: number;

  private constructor(child: ChildProcess, wrappers: number) {
    this.child = child;
    this.#wrappers = wrappers;
    this.exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(exitOf(code, signal, wrappers > 0)));
    });
    // Whoever has no use for it does not look at it.
    this.exit.catch(() => undefined);
  }

  /** Starts `command` with its stdin open or not, and its stdout and stderr piped. */
  static start(command: Command, stdin: 'pipe' | 'ignore'): Launched {
    const [program, ...args] = command.argv;
    const child = spawn(program, args, {
      cwd: command.cwd,
      env: { ...command.env },
      detached: true,
      stdio: [stdin, 'pipe', 'pipe', ...command.inputs.map(() => 'pipe' as const)],
    });
    for (const [index, input] of command.inputs.entries()) {
      // The types end with the fifth descriptor.
      const stream = [...child.stdio][3 + index];
      if (stream === null || stream === undefined || !('end' in stream)) continue;
      stream.on('error', () => undefined);
      stream.end(input);
    }
    return new Launched(child, command.wrappers);
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined;
  }

  /**
   * Kills it with its group. Under bubblewrap: the sandbox's first process, with which the kernel ends every other;
   * bubblewrap itself is gone no earlier than they are.
   */
  kill(): void {
    const { pid } = this.child;
    if (pid === undefined) return;
    const inner = this.#wrappers > 0 && this.running ? descendant(pid, this.#wrappers) : undefined;
    killQuietly(inner ?? -pid);
  }

  /** Calls `onPiece` with all that comes on stdout and stderr. */
  onOutput(onPiece: (piece: Buffer) => void): void {
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', onPiece);
  }

  /** Waits until stdout and stderr are at their end, at most `ms`; then drops what could still come. */
  async drained(ms: number): Promise<void> {
    const streams = [this.child.stdout, this.child.stderr].filter((stream) => stream !== null);
    await Promise.all(streams.map((stream) => ended(stream, ms)));
  }
}

function ended(stream: Readable, ms: number): Promise<void> {
  if (stream.closed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => stream.destroy(), ms);
    stream.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The first process that many levels below `pid`; while it is not there yet, the lowest on the way. */
function descendant(pid: number, levels: number): number | undefined {
  const child = firstChild(pid);
  return child === undefined || levels === 1 ? child : (descendant(child, levels - 1) ?? child);
}

function firstChild(pid: number): number | undefined {
  try {
    const first = Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), 10);
    return first > 1 ? first : undefined;
  } catch {
    return undefined;
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

function exitOf(code: number | null, signal: NodeJS.Signals | null, wrapped: boolean): Exit {
  if (signal !== null) return { code: 128 + constants.signals[signal], signalled: true };
  // Bubblewrap, like a shell, tells of a signal by the exit code alone.
  return { code: code ?? 0, signalled: wrapped && code !== null && code > 128 && code <= 128 + 64 };
}
