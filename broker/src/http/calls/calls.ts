import { CALL_STATUSES, PanalError } from '@panal/protocol';
import { z } from 'zod';
import { nameSchema } from '../../functions/fields.js';
import { callJson, callSchema } from './call-json.js';
import { CallPages } from './call-pages.js';
import type { Context } from '../routing/context.js';
import { nextPage } from '../routing/link.js';
import { callNumber, wholeNumber } from '../routing/query.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

const byNumber = z.strictObject({ callNum: callNumber });

const query = z.strictObject({
  limit: wholeNumber(1, 1000).optional().describe('Default: 100.'),
  before: callNumber.optional().describe('Only calls with a smaller number.'),
  status: z.enum(CALL_STATUSES).optional(),
  funcName: nameSchema.optional(),
});

export const callRoutes = ({ calls }: Services): Route[] => {
  const pages = new CallPages(calls);
  return [
    route({
      method: 'GET',
      path: '/call/:callNum',
      summary: 'A call',
      params: byNumber,
      answers: { 200: { description: 'The call', json: callSchema } },
      errors: ['CALL_NOT_FOUND'],
      async handle(ctx, { params: { callNum } }) {
        const call = await calls.get(ctx.state.owner, callNum);
        if (call === undefined) throw new PanalError('CALL_NOT_FOUND', `there is no call ${callNum}`);
        answer(ctx, callJson(call));
      },
    }),
    route({
      method: 'DELETE',
      path: '/call/:callNum',
      summary: 'Cancel a call',
      params: byNumber,
      answers: {
        200: { description: 'The call: cancelled, or still running while it is stopped', json: callSchema },
      },
      errors: ['CALL_NOT_FOUND', 'CALL_SETTLED', 'STORE_UNAVAILABLE'],
      async handle(ctx, { params: { callNum } }) {
        answer(ctx, callJson(await calls.cancel(ctx.state.owner, callNum)));
      },
    }),
    route({
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
      async handle(ctx, { params: { callNum } }) {
        const call = await calls.putBack(ctx.state.owner, callNum);
        ctx.status = 202;
        ctx.set('Location', `/call/${callNum}`);
        answer(ctx, callJson(call));
      },
    }),
    route({
      method: 'GET',
      path: '/calls',
      summary: 'Calls, newest first',
      query,
      answers: {
        200: {
          description:
            'Calls by `c` and their number. Long parameters are left out, long results and logs cut.',
          json: z.record(z.string(), callSchema),
          headers: { Link: '`rel="next"` while there is more.' },
        },
      },
      async handle(ctx, { query: { limit = 100, before, status, funcName } }) {
        const { json, next } = await pages.read({
          owner: ctx.state.owner,
          limit,
          ...(before !== undefined && { before }),
          ...(status !== undefined && { status }),
          ...(funcName !== undefined && { funcName }),
        });
        if (next !== undefined) nextPage(ctx, { limit, before: next, status, funcName });
        answer(ctx, json);
      },
    }),
  ];
};

function answer(ctx: Context, json: string): void {
  ctx.type = 'application/json';
  ctx.body = json;
}
