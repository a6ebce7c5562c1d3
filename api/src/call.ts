import { z } from 'zod';
import { callErrorSchema } from './errors.js';
import { lifecycleSchema } from './settings.js';

/** `PENDING → RUNNING →` one of the settled ones; a retry goes back to `PENDING`. */
export const CALL_STATUSES = [
  'PENDING',
  'RUNNING',
  'DONE',
  'FAILED',
  'TIMEOUT',
  'CANCELLED',
  'DEAD',
] as const;
export type CallStatus = (typeof CALL_STATUSES)[number];

export const isSettled = (status: CallStatus): boolean => status !== 'PENDING' && status !== 'RUNNING';

/** A call as clients see it, its fields in the order of its JSON. Parameters and results that are not text are base64. */
export const callSchema = z.strictObject({
  funcName: z.string(),
  params: z.unknown().optional(),
  paramsEncoding: z.literal('base64').optional(),
  callNum: z.int().min(1),
  kind: z.literal('prepare').optional().describe('The call prepares its function, and does not run it.'),
  status: z.enum(CALL_STATUSES),
  result: z.string().optional(),
  resultEncoding: z.literal('base64').optional(),
  version: z.int().min(1),
  owner: z.string(),
  attempts: z.int().min(0),
  exitCode: z.int().optional(),
  logs: z.string().optional(),
  error: callErrorSchema.optional(),
  worker: z.string().optional(),
  start: lifecycleSchema.optional(),
  preloaded: z.boolean().optional(),
  timings: z
    .strictObject({ queued: z.number(), prepare: z.number(), run: z.number(), total: z.number() })
    .optional(),
  acceptedAt: z.iso.datetime(),
  putBackAt: z.iso.datetime().optional().describe('When it was last put back after it was DEAD.'),
  settledAt: z.iso.datetime().optional(),
  truncated: z.literal(true).optional().describe('In lists: something was too long to be shown whole.'),
});
export type Call = z.infer<typeof callSchema>;

/** The answer for a call that was accepted, and has not ended. */
export const acceptedSchema = z.strictObject({ callNum: z.int().min(1), status: z.literal('PENDING') });
export type AcceptedCall = z.infer<typeof acceptedSchema>;
