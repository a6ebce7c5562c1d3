import type { Outcome } from '@panal/transport';

/** What names an attempt. */
export type Attempt = Pick<Outcome, 'lease' | 'callNum'>;

/** The end of a call that was cancelled before it ran. */
export const CANCELLED = {
  status: 'CANCELLED',
  platform: false,
  error: { code: 'CANCELLED', message: 'the call was cancelled' },
} as const;

/** Handed back before it began, for another worker to run. */
export const RETURNED = {
  status: 'FAILED',
  platform: true,
  error: { code: 'WORKER_LOST', message: 'its worker handed it back before it began' },
  returned: true,
} as const;

/** The outcome of an attempt that never ran here, but waited for `waitedMs`. */
export function notRun(
  worker: string,
  { lease, callNum }: Attempt,
  ending: Pick<Outcome, 'status' | 'platform' | 'error' | 'returned'>,
  waitedMs = 0,
): Outcome {
  const never = { preloaded: false, prepareMs: waitedMs, runMs: 0 };
  return { type: 'outcome', lease, callNum, worker, ...ending, ...never };
}
