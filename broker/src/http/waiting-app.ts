import Koa from 'koa';
import Router from '@koa/router';
import { routes, type ErrorCode, type RouteDescription } from '@panal/api';
import { PanalError } from '@panal/protocol';
import type { Logger } from 'pino';
import { operatingRoutes } from './operating/operating.js';
import { JsonReader } from './routing/body.js';
import type { Context, RequestState } from './routing/context.js';
import { errorBoundary } from './routing/errors.js';

/** Seconds after which a refused client may try again. */
const RETRY_AFTER = 5;

/** The HTTP side of a broker whose store is not open yet: it is alive, and says in `/readyz` what it waits for. */
export function createWaitingApp(
  problem: string,
  log: Logger,
  errors: { answered(code: ErrorCode): void },
): Koa<RequestState> {
  const json = new JsonReader(0);
  const router = new Router<RequestState>({ sensitive: true, strict: true });
  for (const { method, path, serve } of operatingRoutes({ readiness: { problems: () => [problem] } })) {
    router.register(path, [method], (ctx: Context) => serve(ctx, json));
  }
  const all: RouteDescription[] = Object.values(routes);
  const shapes = new Map(all.map(({ path, errorShape }) => [path, errorShape]));
  const app = new Koa<RequestState>();
  app.use(errorBoundary(log, errors));
  app.use(router.routes());
  app.use((ctx) => {
    const errorShape = shapes.get(ctx.path);
    if (errorShape !== undefined) ctx.state.errorShape = errorShape;
    throw new PanalError('STORE_UNAVAILABLE', problem, { retryAfter: RETRY_AFTER });
  });
  return app;
}
