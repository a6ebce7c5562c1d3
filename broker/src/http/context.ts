import type { RouterContext } from '@koa/router';

/** What the middleware before a route found out about the request. */
export interface RequestState {
  /** On whose behalf it acts. */
  owner: string;
}

export type Context = RouterContext<RequestState>;

/** A signal that aborts when the client goes away before its answer is written. */
export function disconnection(ctx: Context): AbortSignal {
  const controller = new AbortController();
  const closed = (): void => {
    if (!ctx.res.writableFinished) controller.abort();
  };
  if (ctx.res.closed) closed();
  else ctx.res.once('close', closed);
  return controller.signal;
}
