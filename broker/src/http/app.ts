import Router from '@koa/router';
import { PanalError } from '@panal/protocol';
import Koa from 'koa';
import { backupRoutes } from './operating/backup.js';
import { JsonReader } from './routing/body.js';
import { callLogRoutes } from './calls/call-logs.js';
import { callRoutes } from './calls/calls.js';
import type { Context, RequestState } from './routing/context.js';
import { refuseCrossSite } from './users/cross-site.js';
import { errorBoundary } from './routing/errors.js';
import { functionRoutes } from './functions/functions.js';
import { gatewayRoutes } from './gateway/gateway.js';
import { identification } from './users/identify.js';
import { invocationRoutes } from './calls/invocations.js';
import { metricsRoutes } from './operating/metrics.js';
import { operatingRoutes } from './operating/operating.js';
import { refuseAmbiguousTarget } from './routing/request-target.js';
import type { Route } from './routing/route.js';
import { runtimeRoutes } from './functions/runtimes.js';
import type { Services } from './services.js';
import { userRoutes } from './users/users.js';
import { versionRoutes } from './functions/versions.js';
import { workerRoutes } from './operating/workers.js';

/** Every route there is. */
export function allRoutes(services: Services): Route[] {
  return routeGroups(services).flat();
}

/**
 * Every route there is, in groups that have a router each. A router tries all the routes that it has on every request:
 * those that bring calls, the most of all requests, should not be tried among thirty others.
 */
function routeGroups(services: Services): [calling: Route[], other: Route[]] {
  const calling = invocationRoutes(services);
  const all = [
    ...calling,
    ...callRoutes(services),
    ...callLogRoutes(services),
    ...functionRoutes(services),
    ...versionRoutes(services),
    ...runtimeRoutes(services),
    ...userRoutes(services),
    ...gatewayRoutes(services),
    ...workerRoutes(services),
    ...operatingRoutes(services),
    ...metricsRoutes(services),
    ...backupRoutes(services),
  ];
  return [calling, all.slice(calling.length)];
}

/** How paths are matched: a proxy's rule for `/metrics` must not have a way around it, such as `/metrics/`. */
const EXACTLY = { sensitive: true, strict: true };

/** The HTTP side of the broker. It does no I/O until it is asked something. */
export function createApp(services: Services): Koa<RequestState> {
  const json = new JsonReader(services.limits.body, services.memory.bodies);
  const { memory } = services;
  const identify = identification(services);
  const app = new Koa<RequestState>();
  app.use(errorBoundary(services.log, services.errors));
  for (const routes of routeGroups(services)) {
    const router = new Router<RequestState>(EXACTLY);
    for (const { method, path, access = 'owner', errorShape, serve, onFullDisk, inTurn } of routes) {
      const answer = async (ctx: Context): Promise<void> => {
        if (ctx.res.closed) return;
        const rest = await serve(ctx, json).finally(() => memory.bodies.release(ctx.req));
        await rest();
      };
      const brings = onFullDisk !== true && (method === 'POST' || method === 'PUT');
      router.register(path, [method], (ctx: Context) => {
        if (errorShape !== undefined) ctx.state.errorShape = errorShape;
        refuseAmbiguousTarget(ctx.req);
        refuseCrossSite(ctx.req);
        return identify(ctx, access, async () => {
          if (brings) services.room.admit(0);
          const { owner } = ctx.state;
          memory.unread.own(ctx.res, owner);
          if (inTurn === true) await memory.readings.run(owner, () => answer(ctx));
          else await answer(ctx);
        });
      });
    }
    app.use(router.routes());
  }
  app.use(refuseUnrouted);
  // Past the error boundary, only writing the answer can fail: the client is gone.
  app.on('error', (error: Error) => services.log.debug({ err: error }, 'answer not written'));
  return app;
}

/** Answers what no route took: a path that none has, or a method that its routes have not. */
function refuseUnrouted(ctx: Context): void {
  const methods = new Set(ctx.matched?.flatMap((layer) => layer.methods));
  if (methods.size === 0) throw new PanalError('NOT_FOUND', `there is no ${ctx.path}`);
  const allowed = [...methods, 'OPTIONS'].join(', ');
  ctx.set('Allow', allowed);
  if (ctx.method !== 'OPTIONS') {
    throw new PanalError('METHOD_NOT_ALLOWED', `${ctx.path} takes ${allowed}, not ${ctx.method}`);
  }
  ctx.status = 204;
}
