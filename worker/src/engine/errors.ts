import { PlatformError } from '../sandbox/sandbox.js';

/** The HTTP status with which the engine refused a request; `undefined` where it did not answer. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/** What went wrong, in one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
}

/** Whether what a request was about is not there (404), or is being removed already (409). */
export const isGone = (error: unknown): boolean => statusOf(error) === 404 || statusOf(error) === 409;

/** The engine did not do what it was asked. */
export function engineFailure(what: string, cause: unknown): PlatformError {
  return new PlatformError('SANDBOX_FAILED', `${what}: ${messageOf(cause)}`, { cause });
}
