import type { CallError, CallStatus, FunctionSettings } from '@panal/protocol';

/** How an attempt ended, as far as it matters for what comes next. */
export interface AttemptEnd {
  status: 'DONE' | 'FAILED' | 'TIMEOUT' | 'CANCELLED';
  /** The fault is the platform's, not the function's. */
  platform: boolean;
  error?: CallError | undefined;
}

export interface RetryPolicy {
  /** Attempts in all when the platform fails. */
  attempts: number;
  /** Milliseconds before the second attempt; twice that before each later one. */
  backoffMs: number;
}

export type NextStep = { settle: Exclude<CallStatus, 'PENDING' | 'RUNNING'> } | { retryInMs: number };

/**
 * What follows an attempt. The platform's failures are retried by the platform's policy; a function's own failure is
 * final unless the function's `retry` says otherwise. A call that gave up after its last attempt is `DEAD`.
 *
 * @param attempts attempts begun so far, this one included
 */
export function afterAttempt(
  end: AttemptEnd,
  attempts: number,
  policy: RetryPolicy,
  retry: FunctionSettings['retry'],
): NextStep {
  if (end.status === 'DONE' || end.status === 'CANCELLED') return { settle: end.status };
  if (end.platform) {
    if (attempts >= policy.attempts) return { settle: 'DEAD' };
    return { retryInMs: policy.backoffMs * (attempts <= 1 ? 1 : 2) };
  }
  if (retry === undefined || retry.attempts === 1) return { settle: end.status };
  return attempts < retry.attempts ? { retryInMs: retry.backoffMs } : { settle: 'DEAD' };
}
