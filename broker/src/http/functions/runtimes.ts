import type { RuntimeSpec } from '@panal/protocol';
import { z } from 'zod';
import { commandSchema, imageSchema, nameSchema, pathSchema } from '../../functions/fields.js';
import type { FoundRuntime } from '../../functions/runtimes.js';
import { parse } from '../routing/parse.js';
import { answerNames, namesAnswer, namesQuery } from '../routing/name-pages.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';

const registration = z.strictObject({
  name: nameSchema.optional().describe("Default: the image's last path part without tag."),
  image: imageSchema,
  path: pathSchema.describe('Folder in the sandbox at which a bundle is unpacked.'),
  dependencies: commandSchema.optional().describe('Run at `path`, once for each bundle.'),
  dependencyFiles: z
    .array(nameSchema.or(z.literal('.npmrc')))
    .max(32)
    .optional()
    .describe(
      'All files at the root of a bundle that `dependencies` read: what was made of them is used again.',
    ),
  run: commandSchema.describe('Run at `path` for each call.'),
  handler: commandSchema.optional().describe('Keeps running and serves calls: for lifecycle `hot`.'),
});

const view = registration.extend({
  name: nameSchema,
  bundled: z.boolean().describe('Comes with Panal, and is read-only.'),
  createdAt: z.iso.datetime().optional(),
  updatedAt: z.iso.datetime().optional(),
});

const byName = z.strictObject({ name: nameSchema });

export const runtimeRoutes = ({ runtimes }: Services): Route[] => [
  route({
    method: 'POST',
    path: '/registerRuntime',
    summary: 'Register a runtime, or replace the one of that name',
    body: registration,
    answers: {
      200: { description: 'Replaced', json: view },
      201: { description: 'Registered', json: view },
    },
    errors: ['QUOTA_EXCEEDED', 'STORE_UNAVAILABLE'],
    async handle(ctx, { body }) {
      const { runtime, replaced } = await runtimes.register(ctx.state.owner, toSpec(body));
      ctx.status = replaced ? 200 : 201;
      ctx.body = toView(runtime);
    },
  }),
  route({
    method: 'GET',
    path: '/runtimes',
    summary: 'Names of the runtimes that can be used',
    query: namesQuery,
    answers: { 200: namesAnswer },
    handle: (ctx, { query }) => answerNames(ctx, query, (page) => runtimes.list(page)),
  }),
  route({
    method: 'GET',
    path: '/runtimes/:name',
    summary: 'A runtime',
    params: byName,
    answers: { 200: { description: 'The runtime', json: view } },
    errors: ['RUNTIME_NOT_FOUND'],
    async handle(ctx, { params }) {
      ctx.body = toView(await runtimes.get(ctx.state.owner, params.name));
    },
  }),
  route({
    method: 'DELETE',
    path: '/runtimes/:name',
    summary: 'Delete a runtime that no function uses',
    params: byName,
    answers: { 204: { description: 'Deleted' } },
    errors: ['RUNTIME_NOT_FOUND', 'RUNTIME_IN_USE', 'FORBIDDEN', 'STORE_UNAVAILABLE'],
    async handle(ctx, { params }) {
      await runtimes.delete(ctx.state.owner, params.name);
      ctx.status = 204;
    },
  }),
];

function toSpec({
  name,
  dependencies,
  dependencyFiles,
  handler,
  ...required
}: z.infer<typeof registration>): RuntimeSpec {
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

const toView = ({ spec, createdAt, updatedAt }: FoundRuntime): z.infer<typeof view> => ({
  ...spec,
  bundled: createdAt === undefined,
  ...(createdAt !== undefined && { createdAt: isoTime(createdAt) }),
  ...(updatedAt !== undefined && { updatedAt: isoTime(updatedAt) }),
});
