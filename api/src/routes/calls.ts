import { z } from 'zod';
import { CALL_STATUSES, callSchema } from '../call.js';
import { nameSchema } from '../fields.js';
import { callNumber, NEXT_PAGE, wholeNumber } from '../query.js';
import type { RouteDescription } from '../route.js';

const byNumber = z.strictObject({ callNum: callNumber });

export const callRoutes = {
  getCall: {
    method: 'GET',
    path: '/call/:callNum',
    summary: 'A call',
    params: byNumber,
    answers: { 200: { description: 'The call', json: callSchema } },
    errors: ['CALL_NOT_FOUND'],
  },
  cancelCall: {
    method: 'DELETE',
    path: '/call/:callNum',
    summary: 'Cancel a call',
    params: byNumber,
    answers: {
      200: { description: 'The call: cancelled, or still running while it is stopped', json: callSchema },
    },
    errors: ['CALL_NOT_FOUND', 'CALL_SETTLED', 'STORE_UNAVAILABLE'],
  },
  retryCall: {
    method: 'POST',
    path: '/call/:callNum/retry',
    summary: 'Put a call back that is DEAD: it is PENDING again, with as many attempts as at first',
    params: byNumber,
    answers: {
      202: {
        description: 'The call',
        json: callSchema,
        headers: { Location: 'Where the call is found.' },
      },
    },
    errors: [
      'CALL_NOT_FOUND',
      'CALL_NOT_DEAD',
      'VERSION_NOT_FOUND',
      'NO_CONTAINER_ENGINE',
      'NO_WORKER_FITS',
      'QUEUE_FULL',
      'STORE_UNAVAILABLE',
      'SHUTTING_DOWN',
    ],
  },
  listCalls: {
    method: 'GET',
    path: '/calls',
    summary: 'Calls, newest first',
    query: z.strictObject({
      limit: wholeNumber(1, 1000).optional().describe('Default: 100.'),
      before: callNumber.optional().describe('Only calls with a smaller number.'),
      status: z.enum(CALL_STATUSES).optional(),
      funcName: nameSchema.optional(),
    }),
    answers: {
      200: {
        description:
          'Calls by `c` and their number. Long parameters are left out, long results and logs cut.',
        json: z.record(z.string(), callSchema),
        headers: NEXT_PAGE,
      },
    },
  },
  callLogs: {
    method: 'GET',
    path: '/call/:callNum/logs',
    summary: 'The logs of a call, as they are or as they come',
    params: byNumber,
    query: z.strictObject({
      follow: z
        .enum(['0', '1'])
        .optional()
        .describe(
          'Whether to stay until the call ends. Default: where the client accepts `text/event-stream`.',
        ),
    }),
    headers: { Accept: 'With `text/event-stream`, the logs come as events until the call ends.' },
    answers: {
      200: {
        description:
          'The logs so far as text; or events: `log` with a piece of text as JSON, `attempt` with `{"attempt"}` ' +
          'where an attempt begins and its logs anew, `end` with `{"callNum","status"}`.',
        types: ['text/plain; charset=utf-8', 'text/event-stream'],
      },
    },
    errors: ['CALL_NOT_FOUND'],
  },
} satisfies Record<string, RouteDescription>;

/** The data of the events of `callLogs`, by their names. */
export const logEvents = {
  log: z.string(),
  attempt: z.object({ attempt: z.int() }),
  end: z.object({ callNum: z.int(), status: z.enum(CALL_STATUSES) }),
};
