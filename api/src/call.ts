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

/**
 * Fields of a call that the store keeps as clients see them. A new one is declared here: it is then in the record, in
 * the JSON and in the client's type.
 */
export const storedCallFields = {
  callNum: z.int().min(1).describe('Counts the calls of all owners, from 1.'),
  owner: z.string(),
  funcName: z.string(),
  version: z.int().min(1),
  status: z.enum(CALL_STATUSES),
  attempts: z.int().min(0).describe('Attempts begun so far.'),
  exitCode: z.int().optional(),
  worker: z.string().optional(),
  start: lifecycleSchema.optional(),
  preloaded: z.boolean().optional(),
  timings: z
    .object({ queued: z.number(), prepare: z.number(), run: z.number(), total: z.number() })
    .optional(),
};

const { funcName, callNum, status, version, owner, attempts, exitCode, ...laterFields } = storedCallFields;

/** A call as clients see it, its fields in the order of its JSON. Parameters and results that are not text are base64. */
export const callSchema = z.object({
  funcName,
  params: z.unknown().optional(),
  paramsEncoding: z.literal('base64').optional(),
  callNum,
  kind: z.literal('prepare').optional().describe('The call prepares its function, and does not run it.'),
  status,
  result: z.string().optional(),
  resultEncoding: z.literal('base64').optional(),
  version,
  owner,
  attempts,
  exitCode,
  logs: z.string().optional(),
  error: callErrorSchema.optional(),
  ...laterFields,
  acceptedAt: z.iso.datetime(),
  putBackAt: z.iso.datetime().optional().describe('When it was last put back after it was DEAD.'),
  settledAt: z.iso.datetime().optional(),
  truncated: z.literal(true).optional().describe('In lists: something was too long to be shown whole.'),
});
export type Call = z.infer<typeof callSchema>;

/** Names of the fields of a call, in the order of its JSON. */
export const CALL_FIELDS = callSchema.keyof().options;

/** The answer for a call that was accepted, and has not ended. */
export const acceptedSchema = z.object({ callNum: z.int().min(1), status: z.literal('PENDING') });
export type AcceptedCall = z.infer<typeof acceptedSchema>;
