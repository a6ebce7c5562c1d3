import type { RunRequest, RunResult } from '../../worker/src/contracts/run.js';

/** A call as a mini-worker would hand it over; what is not given does not matter to the test. */
export function request(
  options: Partial<Omit<RunRequest, 'body'>> & { body?: string | Uint8Array } = {},
): RunRequest {
  const { body = '', ...rest } = options;
  return {
    callNum: 1,
    attempt: 1,
    argument: undefined,
    env: {},
    timeoutMs: 10_000,
    maxOutput: 1024 * 1024,
    maxLogs: 64 * 1024,
    signal: new AbortController().signal,
    ...rest,
    body: typeof body === 'string' ? Buffer.from(body) : body,
  };
}

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** The parts of a result that most tests look at. */
export function summary({ status, result, logs, exitCode, error, reusable }: RunResult): object {
  return { status, result: text(result), logs: text(logs), exitCode, code: error?.code, reusable };
}
