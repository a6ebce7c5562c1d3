import type { Outcome } from '@panal/transport';

/** What a worker reports of an attempt that went well. */
export const anOutcome = (callNum: number, fields: Partial<Outcome> = {}): Outcome => ({
  type: 'outcome',
  lease: `lease ${callNum}`,
  callNum,
  worker: 'w',
  status: 'DONE',
  platform: false,
  preloaded: false,
  prepareMs: 0,
  runMs: 0,
  ...fields,
});
