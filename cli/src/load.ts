import { ApiError } from '@panal/client';

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

/** Makes the same call over several connections, on each one after the other. */
export async function runLoad(
  call: () => Promise<unknown>,
  { connections, calls, signal, onCall }: LoadOptions,
): Promise<LoadResult> {
  const times: number[] = [];
  let [begun, errors]: [number, number] = [0, 0];
  let firstError: string | undefined;

  const one = async (): Promise<void> => {
    const start = performance.now();
    try {
      await call();
      times.push(performance.now() - start);
    } catch (error) {
      firstError ??= textOf(error);
      errors += 1;
    }
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

/** An error as the cluster answered it, or as the connection failed. */
function textOf(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  const { status, code, message, detail } = error;
  return `${status} ${JSON.stringify({ error: { code, message, detail } }).slice(0, MOST_OF_ERROR)}`;
}

/** The smallest time that is not exceeded by this share of them. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
