import Router from '@koa/router';
import { PanalError } from '@panal/protocol';
import Koa from 'koa';
import { backupRoutes } from './backup.js';
import { JsonReader } from './body.js';
import { callLogRoutes } from './call-logs.js';
import { callRoutes } from './calls.js';
import type { Context, RequestState } from './context.js';
import { refuseCrossSite } from './cross-site.js';
import { errorBoundary } from './errors.js';
import { functionRoutes } from './functions.js';
import { gatewayRoutes } from './gateway.js';
import { identification } from './identify.js';
import { invocationRoutes } from './invocations.js';
import { metricsRoutes } from './metrics.js';
import { openApiRoute } from './openapi.js';
import { operatingRoutes } from './operating.js';
import type { Route } from './route.js';
import { runtimeRoutes } from './runtimes.js';
import type { Services } from './services.js';
import { userRoutes } from './users.js';
import { versionRoutes } from './versions.js';
import { workerRoutes } from './workers.js';

const CALLING_PATHS = ['/run/:funcName', '/invokeFunction'];

/** Every route there is. */
export function allRoutes(services: Services): Route[] {
  const routes = [
    ...invocationRoutes(services),
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
  routes.push(openApiRoute(routes));
  return routes;
}

/** The HTTP side of the broker. It does no I/O until it is asked something. */
export function createApp(services: Services): Koa<RequestState> {
  const json = new JsonReader(services.limits.body);
  const identify = identification(services);
  // A router tries every route that it has on every request: those that bring calls, the most of all, have their own.
  const calling = new Router<RequestState>({ sensitive: true });
  const other = new Router<RequestState>({ sensitive: true });
  for (const { method, path, access = 'owner', errorShape, serve } of allRoutes(services)) {
    const router = CALLING_PATHS.includes(path) ? calling : other;
    router.register(path, [method], (ctx: Context) => {
      if (errorShape !== undefined) ctx.state.errorShape = errorShape;
      refuseCrossSite(ctx.req);
      return identify(ctx, access, () => serve(ctx, json));
    });
  }
  const app = new Koa<RequestState>();
  app.use(errorBoundary(services.log, services.errors));
  app.use(calling.routes());
  app.use(other.routes());
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
