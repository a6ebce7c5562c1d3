import { readFile } from 'node:fs/promises';

/** What one client may take of the server. Times in ms. */
export interface HttpLimits {
  /** For how long it may send its headers. */
  headersMs: number;
  /** For how long it may send its whole request: 64 MiB over a slow line. */
  requestMs: number;
  /** For how long it may take nothing of an answer that is there. */
  answerMs: number;
  /** How long a client may have closed its sending side before the broker finds out whether it is gone. */
  halfClosedMs: number;
  /** For how long an unused connection stays: longer than the 60 s after which proxies close theirs. */
  keepAliveMs: number;
  /** Between looks for clients that are too slow. */
  checkMs: number;
}

export const HTTP_LIMITS: HttpLimits = {
  headersMs: 20_000,
  requestMs: 600_000,
  answerMs: 60_000,
  halfClosedMs: 5000,
  keepAliveMs: 65_000,
  checkMs: 10_000,
};

/** Descriptors that connections leave to others: to the store, which opens up to 1,000 files, channels, uploads. */
const RESERVE = 2048;

/**
 * How many connections may be open at once, so that idle ones never take the descriptors that the store needs: the
 * process's limit (`ulimit -n`; Node.js raises the soft one to the hard one) but for a reserve, or half of a small one.
 * `undefined` where the limit is not known.
 */
export async function mostConnections(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const [, files] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  if (files === undefined) return undefined;
  return Math.max(Math.floor(Number(files) / 2), Number(files) - RESERVE);
}
