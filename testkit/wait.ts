import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until `probe` gives a value other than `undefined` and `false`.
 * @param ms how long it may take, in milliseconds
 * @throws Error naming `what` after that
 */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  ms = 60_000,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await pause(10);
  }
}
