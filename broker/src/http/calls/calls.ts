import { routes } from '@panal/api';
import { LIST_BYTES, type CallRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { callJson } from './call-json.js';
import { answerJson } from './answer-json.js';
import { callPage } from './call-pages.js';
import type { Context } from '../routing/context.js';
import { nextPage } from '../routing/link.js';
import { inTurn, route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { answerWhole } from './whole-call.js';

export const callRoutes = (services: Services): Route[] => {
  const { calls } = services;
  return [
    route(routes.getCall, async (ctx, { params: { callNum } }) => {
      const call = await calls.get(ctx.state.owner, callNum, LIST_BYTES);
      if (call === undefined) throw new PanalError('CALL_NOT_FOUND', `there is no call ${callNum}`);
      await answerCall(services, ctx, call);
    }),
    route(routes.cancelCall, async (ctx, { params: { callNum } }) => {
      await answerCall(services, ctx, await calls.cancel(ctx.state.owner, callNum));
    }),
    route(routes.retryCall, async (ctx, { params: { callNum } }) => {
      const call = await calls.putBack(ctx.state.owner, callNum);
      ctx.status = 202;
      ctx.set('Location', `/call/${callNum}`);
      await answerCall(services, ctx, call);
    }),
    inTurn(routes.listCalls, async (ctx, { query: { limit = 100, before, status, funcName } }) => {
      const { json, next } = await callPage(calls, {
        owner: ctx.state.owner,
        limit,
        ...(before !== undefined && { before }),
        ...(status !== undefined && { status }),
        ...(funcName !== undefined && { funcName }),
      });
      if (next !== undefined) nextPage(ctx, { limit, before: next, status, funcName });
      answerJson(ctx, json);
    }),
  ];
};

const answerCall = (services: Services, ctx: Context, call: CallRecord): Promise<void> =>
  answerWhole(services, ctx, call, (whole) => {
    if (whole !== undefined) answerJson(ctx, callJson(whole));
  });
