import type { Outcome } from '@panal/protocol';

/** What names an attempt. */
export type Attempt = Pick<Outcome, 'lease' | 'callNum'>;

/** The end of a call that was cancelled before it ran. */
export const CANCELLED = {
  status: 'CANCELLED',
  platform: false,
  error: { code: 'CANCELLED', message: 'the call was cancelled' },
} as const;

/** The outcome of an attempt that never ran here. */
export function notRun(
  worker: string,
  { lease, callNum }: Attempt,
  ending: Pick<Outcome, 'status' | 'platform' | 'error'>,
): Outcome {
  const never = { preloaded: false, prepareMs: 0, runMs: 0 };
  return { type: 'outcome', lease, callNum, worker, ...ending, ...never };
}
