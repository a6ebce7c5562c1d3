import { routes } from '@panal/api';
import { PanalError } from '@panal/protocol';
import { callJson } from './call-json.js';
import { CallPages } from './call-pages.js';
import type { Context } from '../routing/context.js';
import { nextPage } from '../routing/link.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

export const callRoutes = ({ calls }: Services): Route[] => {
  const pages = new CallPages(calls);
  return [
    route(routes.getCall, async (ctx, { params: { callNum } }) => {
      const call = await calls.get(ctx.state.owner, callNum);
      if (call === undefined) throw new PanalError('CALL_NOT_FOUND', `there is no call ${callNum}`);
      answer(ctx, callJson(call));
    }),
    route(routes.cancelCall, async (ctx, { params: { callNum } }) => {
      answer(ctx, callJson(await calls.cancel(ctx.state.owner, callNum)));
    }),
    route(routes.retryCall, async (ctx, { params: { callNum } }) => {
      const call = await calls.putBack(ctx.state.owner, callNum);
      ctx.status = 202;
      ctx.set('Location', `/call/${callNum}`);
      answer(ctx, callJson(call));
    }),
    route(routes.listCalls, async (ctx, { query: { limit = 100, before, status, funcName } }) => {
      const { json, next } = await pages.read({
        owner: ctx.state.owner,
        limit,
        ...(before !== undefined && { before }),
        ...(status !== undefined && { status }),
        ...(funcName !== undefined && { funcName }),
      });
      if (next !== undefined) nextPage(ctx, { limit, before: next, status, funcName });
      answer(ctx, json);
    }),
  ];
};

function answer(ctx: Context, json: string): void {
  ctx.type = 'application/json';
  ctx.body = json;
}
