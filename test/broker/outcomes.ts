import type { Outcome } from '@panal/transport';
import type { Job } from '../../broker/src/scheduling/job.js';
import { anOutcome } from '../support/outcomes.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** The outcome of an attempt that rolled some dice. */
export function outcomeOf(
  job: Job,
  fields: Partial<Outcome> = {},
): { outcome: Outcome; result: Uint8Array; logs: Uint8Array } {
  const rolled = { lease: 'any', worker: 'w1', exitCode: 0, start: 'warm', prepareMs: 2, runMs: 3 } as const;
  const outcome = anOutcome(job.callNum, { ...rolled, ...fields });
  return { outcome, result: bytes('[4,6,4,3]'), logs: bytes('rolled') };
}
