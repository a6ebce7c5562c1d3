import { nameSchema, routes, type RuntimeRegistration, type RuntimeView } from '@panal/api';
import type { RuntimeSpec } from '@panal/protocol';
import type { FoundRuntime } from '../../functions/runtimes.js';
import { parse } from '../routing/parse.js';
import { answerNames } from '../routing/name-pages.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';

export const runtimeRoutes = ({ runtimes }: Services): Route[] => [
  route(routes.registerRuntime, async (ctx, { body }) => {
    const { runtime, replaced } = await runtimes.register(ctx.state.owner, toSpec(body));
    ctx.status = replaced ? 200 : 201;
    ctx.body = toView(runtime);
  }),
  route(routes.listRuntimes, (ctx, { query }) => answerNames(ctx, query, (page) => runtimes.list(page))),
  route(routes.getRuntime, async (ctx, { params }) => {
    ctx.body = toView(await runtimes.get(ctx.state.owner, params.name));
  }),
  route(routes.deleteRuntime, async (ctx, { params }) => {
    await runtimes.delete(ctx.state.owner, params.name);
    ctx.status = 204;
  }),
];

function toSpec({
  name,
  dependencies,
  dependencyFiles,
  handler,
  ...required
}: RuntimeRegistration): RuntimeSpec {
  return {
    ...required,
    name: name ?? parse(nameSchema, lastPart(required.image)),
    ...(dependencies !== undefined && { dependencies }),
    ...(dependencyFiles !== undefined && { dependencyFiles }),
    ...(handler !== undefined && { handler }),
  };
}

/** `localhost:5000/team/python:3@sha256:…` → `python` */
function lastPart(image: string): string {
  const [path = ''] = image.split('@');
  const [name = ''] = path.slice(path.lastIndexOf('/') + 1).split(':');
  return name;
}

const toView = ({ spec, createdAt, updatedAt }: FoundRuntime): RuntimeView => ({
  ...spec,
  bundled: createdAt === undefined,
  ...(createdAt !== undefined && { createdAt: isoTime(createdAt) }),
  ...(updatedAt !== undefined && { updatedAt: isoTime(updatedAt) }),
});
