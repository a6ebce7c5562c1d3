import { z } from 'zod';
import { acceptedSchema, callSchema } from '../call.js';
import { waitSchema } from '../query.js';

/** Header of a route that accepts calls. */
export const IDEMPOTENCY_KEY = {
  'Idempotency-Key':
    'Names the request, in at most 255 characters: sent again within a day, it gives the same call.',
};
export const IDEMPOTENT_REPLAYED = {
  'Idempotent-Replayed': '`true` where the call was accepted with an earlier request of this key.',
};

/** The errors of a request that makes a call of a function. */
export const CALL_ERRORS = [
  'IDEMPOTENCY_KEY_REUSED',
  'CALL_NOT_FOUND',
  'NO_CONTAINER_ENGINE',
  'NO_WORKER_FITS',
  'QUEUE_FULL',
  'STORE_UNAVAILABLE',
  'SHUTTING_DOWN',
] as const;

/** The part of a route that accepts a call, and waits for its end if the client asks for that. */
export const ACCEPTS_CALL = {
  query: z.strictObject({ wait: waitSchema.optional() }),
  headers: { Prefer: '`wait=SECONDS` (RFC 7240) waits as `?wait=` does.', ...IDEMPOTENCY_KEY },
  answers: {
    200: { description: 'The finished call', json: callSchema },
    202: {
      description: 'Accepted',
      json: acceptedSchema,
      headers: { Location: 'Where the call is found.', ...IDEMPOTENT_REPLAYED },
    },
  },
};
