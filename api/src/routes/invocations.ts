import { z } from 'zod';
import { failedCallSchema } from '../errors.js';
import { nameSchema } from '../fields.js';
import { onDisconnectSchema } from '../query.js';
import type { RouteDescription } from '../route.js';
import { ACCEPTS_CALL, CALL_ERRORS, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED } from './accepting.js';

const invocation = z.strictObject({
  funcName: nameSchema,
  params: z
    .unknown()
    .optional()
    .describe('Any JSON. The function gets its text exactly as it is written here.'),
});

export const invocationRoutes = {
  run: {
    method: 'POST',
    path: '/run/:funcName',
    summary: 'Call a function with the body as it is, and answer with its raw output',
    params: z.strictObject({ funcName: nameSchema }),
    query: z.strictObject({ onDisconnect: onDisconnectSchema }),
    headers: IDEMPOTENCY_KEY,
    rawBody: { type: '*/*', schema: z.string() },
    answers: {
      200: {
        description: 'What the function wrote; as text where it is UTF-8.',
        types: ['text/plain; charset=utf-8', 'application/octet-stream'],
        headers: { 'X-Call-Num': 'Number of the call.', ...IDEMPOTENT_REPLAYED },
      },
      502: { description: 'The call failed; the code says how.', json: failedCallSchema },
      504: { description: 'TIMEOUT', json: failedCallSchema },
    },
    errors: ['FUNCTION_NOT_FOUND', 'BODY_TOO_LARGE', 'REQUEST_ABORTED', ...CALL_ERRORS],
  },
  invokeFunction: {
    method: 'POST',
    path: '/invokeFunction',
    summary: 'Call a function; wait for its end, or ask later',
    ...ACCEPTS_CALL,
    body: invocation,
    errors: ['FUNCTION_NOT_FOUND', ...CALL_ERRORS],
  },
} satisfies Record<string, RouteDescription>;
