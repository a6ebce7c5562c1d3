import { PUBLIC_OWNER } from '@panal/protocol';
import type { Middleware } from 'koa';
import type { RequestState } from './context.js';

/** Finds out on whose behalf a request acts. */
export const identify: Middleware<RequestState> = async (ctx, next) => {
  ctx.state.owner = PUBLIC_OWNER;
  await next();
};
