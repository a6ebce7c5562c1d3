import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until `probe` gives a value other than `undefined` and `false`.
 * @throws Error naming `what` after `ms` milliseconds.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  ms = 60_000,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await pause(10);
  }
}
