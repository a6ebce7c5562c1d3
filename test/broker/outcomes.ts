import type { Outcome } from '@panal/transport';
import type { Job } from '../../broker/src/scheduling/job.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** The outcome of an attempt that rolled some dice. */
export function outcomeOf(
  job: Job,
  fields: Partial<Outcome> = {},
): { outcome: Outcome; result: Uint8Array; logs: Uint8Array } {
  const outcome: Outcome = {
    type: 'outcome',
    lease: 'any',
    callNum: job.callNum,
    worker: 'w1',
    status: 'DONE',
    platform: false,
    exitCode: 0,
    start: 'warm',
    preloaded: false,
    prepareMs: 2,
    runMs: 3,
    ...fields,
  };
  return { outcome, result: bytes('[4,6,4,3]'), logs: bytes('rolled') };
}
