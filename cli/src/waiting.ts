import { EXIT_INTERRUPTED, Failure } from './failure.js';
import { onInterrupt } from './interrupt.js';

/**
 * Runs `wait` with a signal that Ctrl-C aborts, and so do `timeoutSeconds`. A second Ctrl-C ends the process at once.
 * The reason of the signal is a `Failure`.
 */
export async function whileWaiting<T>(
  wait: (signal: AbortSignal) => Promise<T>,
  timeoutSeconds?: number,
): Promise<T> {
  const end = new AbortController();
  const release = onInterrupt(
    () => end.abort(new Failure('interrupted', { code: 'INTERRUPTED', exitCode: EXIT_INTERRUPTED })),
    () => process.exit(EXIT_INTERRUPTED),
  );
  const timedOut = (): void =>
    end.abort(new Failure(`no end within ${timeoutSeconds ?? 0} s`, { code: 'TIMEOUT' }));
  const timer = timeoutSeconds === undefined ? undefined : setTimeout(timedOut, 1000 * timeoutSeconds);
  try {
    return await wait(end.signal);
  } finally {
    release();
    clearTimeout(timer);
  }
}
