import { EXIT_CONFIG, REFUSAL_MESSAGE } from '@panal/protocol';
import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { ChildProcess } from 'node:child_process';

/** How long a process that died stays down: `firstMs`, then twice as long each time, `mostMs` at most. */
export interface Backoff {
  firstMs: number;
  mostMs: number;
  /** A process that lived for this long counts as healthy, and its next death as the first. */
  resetMs: number;
}

export const BACKOFF: Backoff = { firstMs: 250, mostMs: 10_000, resetMs: 60_000 };

/** What a supervisor watches, and whom it tells. */
export interface SupervisorOptions {
  /** Starts the process; called again after each death. */
  spawn: () => ChildProcess;
  backoff?: Backoff;
  /** It died though nobody stopped it, and is started again in `delayMs`. */
  onDeath: (how: string, delayMs: number) => void;
  /** It said before its end that it cannot run here, or that its settings are wrong: it stays down. */
  onRefusal: (exitCode: number) => void;
}

/** Keeps one process running until told to stop it. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #backoff: Backoff;
  #delayMs: number;
  #child: ChildProcess | undefined;
  #restart: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? BACKOFF;
    this.#delayMs = this.#backoff.firstMs;
  }

  start(): void {
    const bornAt = performance.now();
    const child = this.#options.spawn();
    this.#child = child;
    let refused = false;
    child.on('message', (message) => (refused ||= isDeepStrictEqual(message, REFUSAL_MESSAGE)));
    const ended = (how: string, code: number | null): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (this.#stopping) return;
      if (code !== null && (refused || code === EXIT_CONFIG)) this.#options.onRefusal(code);
      else this.#startAgain(how, performance.now() - bornAt);
    };
    child.once('exit', (code, signal) => {
      const decide = (): void => ended(signal ?? `exit code ${code ?? 'unknown'}`, code);
      // What it said last may still be on its way.
      if (child.connected) child.once('disconnect', decide);
      else decide();
    });
    // Of a process that could not be started; there is no exit then.
    child.on('error', (error) => {
      if (child.pid === undefined) ended(error.message, null);
    });
  }

  /** Ends the process with SIGTERM, and by force after `graceMs`. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child === undefined) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await gone;
    clearTimeout(force);
  }

  /** Ends the process at once. */
  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#child?.kill('SIGKILL');
  }

  #startAgain(how: string, livedMs: number): void {
    const { firstMs, mostMs, resetMs } = this.#backoff;
    if (livedMs >= resetMs) this.#delayMs = firstMs;
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(2 * delayMs, mostMs);
    this.#restart = setTimeout(() => this.start(), delayMs);
    this.#options.onDeath(how, delayMs);
  }
}
