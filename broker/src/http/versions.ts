import type { VersionRecord } from '@panal/db';
import { z } from 'zod';
import { nameSchema } from '../functions/fields.js';
import { wholeNumber } from './query.js';
import { route, type Route } from './route.js';
import type { Services } from './services.js';
import { isoTime } from './time.js';

const version = z.strictObject({
  version: z.int().min(1),
  active: z.boolean().describe('Whether calls accepted now run it.'),
  createdAt: z.iso.datetime(),
  image: z.string().optional(),
  runtimeName: nameSchema.optional(),
  sha256: z.string().optional().describe('Of the bundle as it was uploaded.'),
  size: z.int().optional().describe('Of the bundle as it was uploaded, in bytes.'),
});

const byName = z.strictObject({ name: nameSchema });

export const versionRoutes = ({ functions }: Pick<Services, 'functions'>): Route[] => [
  route({
    method: 'GET',
    path: '/functions/:name/versions',
    summary: 'The versions of a function, oldest first',
    params: byName,
    answers: { 200: { description: 'Versions', json: z.array(version) } },
    errors: ['FUNCTION_NOT_FOUND'],
    async handle(ctx, { params: { name } }) {
      const { active, versions } = await functions.history(ctx.state.owner, name);
      ctx.body = versions.map((each) => toView(each, active));
    },
  }),
  route({
    method: 'DELETE',
    path: '/functions/:name/versions/:version',
    summary: 'Delete a version that is not the active one; calls accepted with it still run it',
    params: byName.extend({ version: wholeNumber(1, Number.MAX_SAFE_INTEGER) }),
    answers: { 204: { description: 'Deleted' } },
    errors: ['FUNCTION_NOT_FOUND', 'VERSION_NOT_FOUND', 'VERSION_IN_USE', 'STORE_UNAVAILABLE'],
    async handle(ctx, { params: { name, version: number } }) {
      await functions.deleteVersion(ctx.state.owner, name, number);
      ctx.status = 204;
    },
  }),
];

function toView({ spec, createdAt }: VersionRecord, active: number): z.infer<typeof version> {
  const code =
    spec.kind === 'image'
      ? { image: spec.image }
      : { runtimeName: spec.runtime.name, sha256: spec.bundle.sha256, size: spec.bundle.size };
  return { version: spec.version, active: spec.version === active, createdAt: isoTime(createdAt), ...code };
}
