/** What is asked for, again and again. */
export interface LoadTarget {
  url: string;
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string | undefined;
}

export interface LoadOptions {
  /** Requests under way at once, each on a connection that is kept. */
  connections: number;
  /** Ends after so many. */
  calls: number;
  /** Is told of each call that has ended. */
  onCall?: () => void;
  /** Ends the load; what is under way then is still waited for, and counts. */
  signal: AbortSignal;
}

/** What came of it; times in milliseconds. Percentiles are of the calls that succeeded. */
export interface LoadResult {
  calls: number;
  errors: number;
  connections: number;
  ms: number;
  callsPerSecond: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
  firstError?: string;
}

/** Characters that are kept of the first error. */
const MOST_OF_ERROR = 500;

/** Sends the same request over several connections, on each one after the other. */
export async function runLoad(
  target: LoadTarget,
  { connections, calls, signal, onCall }: LoadOptions,
): Promise<LoadResult> {
  // Here, for no other verb is worth its time to load; its requests cost half of what `node:http` takes.
  const { Pool } = await import('undici');
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const path = `${pathname.replace(/\/$/, '')}${target.path}`;
  const request = { method: 'POST', path, headers: target.headers, body: target.body ?? null } as const;
  const times: number[] = [];
  let [begun, errors]: [number, number] = [0, 0];
  let firstError: string | undefined;

  const one = async (): Promise<void> => {
    const start = performance.now();
    try {
      const { statusCode, body } = await pool.request(request);
      const text = await body.text();
      if (statusCode === 200) {
        times.push(performance.now() - start);
        return;
      }
      firstError ??= `${statusCode} ${text.slice(0, MOST_OF_ERROR)}`;
    } catch (error) {
      firstError ??= String(error);
    }
    errors += 1;
  };
  const connection = async (): Promise<void> => {
    while (!signal.aborted && begun < calls) {
      begun += 1;
      await one();
      onCall?.();
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: connections }, connection));
  const ms = performance.now() - start;
  await pool.close();
  times.sort((a, b) => a - b);
  return {
    calls: begun,
    errors,
    connections,
    ms,
    callsPerSecond: (1000 * times.length) / ms,
    p50: percentile(times, 0.5),
    p90: percentile(times, 0.9),
    p99: percentile(times, 0.99),
    max: times.at(-1) ?? 0,
    ...(firstError !== undefined && { firstError }),
  };
}

/** The smallest time that is not exceeded by this share of them. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
