import { z } from 'zod';
import { nameSchema } from './fields.js';
import type { Answer } from './route.js';

/** A whole number in a path or a query. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .describe(`A whole number from ${min} to ${max}.`);

/** The number of a call. */
export const callNumber = wholeNumber(0, Number.MAX_SAFE_INTEGER);

/** Longest wait that a client may ask for, in seconds; a longer one is cut to it. */
export const MAX_WAIT_SECONDS = 3600;

/** The `wait` of a query, in seconds. */
export const waitSchema = z
  .string()
  .regex(/^\d+$/, 'must be a number of seconds')
  .transform((text) => Math.min(Number(text), MAX_WAIT_SECONDS))
  .describe(`Seconds, at most ${MAX_WAIT_SECONDS}.`);

/** What happens to a call if its client goes away before its end. */
export const onDisconnectSchema = z
  .enum(['cancel', 'keep'])
  .optional()
  .describe(
    'What becomes of the call when the client goes away before its end. Default: `cancel`, or `keep` with an ' +
      '`Idempotency-Key`, for it may come back.',
  );

/** Most entries of a page of names or versions, and the default. */
export const MAX_PAGE = 1000;

/** The `Link` header of a list in pages (RFC 8288). */
export const NEXT_PAGE = { Link: '`rel="next"` while there is more.' };

/** The query of a list of names. */
export const namesQuery = z.strictObject({
  limit: wholeNumber(1, MAX_PAGE).optional().describe(`Default: ${MAX_PAGE}.`),
  after: nameSchema.optional().describe('Only names after this one.'),
});

/** A page of names. */
export const namesAnswer = {
  description: 'Names, sorted',
  json: z.array(nameSchema),
  headers: NEXT_PAGE,
} satisfies Answer;

export const byName = z.strictObject({ name: nameSchema });
