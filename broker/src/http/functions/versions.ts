import type { VersionSummary } from '@panal/db';
import { z } from 'zod';
import { imageDigestSchema, nameSchema } from '../../functions/fields.js';
import { nextPage } from '../routing/link.js';
import { MAX_PAGE } from '../routing/name-pages.js';
import { wholeNumber } from '../routing/query.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';

const version = z.strictObject({
  version: z.int().min(1),
  active: z.boolean().describe('Whether calls accepted now run it.'),
  createdAt: z.iso.datetime(),
  image: z.string().optional(),
  imageDigest: imageDigestSchema.optional(),
  runtimeName: nameSchema.optional(),
  sha256: z.string().optional().describe('Of the bundle as it was uploaded.'),
  size: z.int().optional().describe('Of the bundle as it was uploaded, in bytes.'),
});

const byName = z.strictObject({ name: nameSchema });

const versionNumber = wholeNumber(1, Number.MAX_SAFE_INTEGER);
const page = z.strictObject({
  limit: wholeNumber(1, MAX_PAGE).optional().describe(`Default: ${MAX_PAGE}.`),
  after: versionNumber.optional().describe('Only versions with a larger number.'),
});

export const versionRoutes = ({ functions }: Pick<Services, 'functions'>): Route[] => [
  route({
    method: 'GET',
    path: '/functions/:name/versions',
    summary: 'The versions of a function, oldest first',
    params: byName,
    query: page,
    answers: {
      200: {
        description: 'Versions',
        json: z.array(version),
        headers: { Link: '`rel="next"` while there is more.' },
      },
    },
    errors: ['FUNCTION_NOT_FOUND'],
    async handle(ctx, { params: { name }, query: { limit = MAX_PAGE, after = 0 } }) {
      const { owner } = ctx.state;
      const { active, versions } = await functions.history({ owner, name, after, limit: limit + 1 });
      ctx.body = versions.slice(0, limit).map((each) => toView(each, active));
      const last = versions[limit - 1];
      if (versions.length > limit && last !== undefined) nextPage(ctx, { limit, after: last.version });
    },
  }),
  route({
    method: 'DELETE',
    path: '/functions/:name/versions/:version',
    summary: 'Delete a version that is not the active one; calls accepted with it still run it',
    params: byName.extend({ version: versionNumber }),
    answers: { 204: { description: 'Deleted' } },
    errors: ['FUNCTION_NOT_FOUND', 'VERSION_NOT_FOUND', 'VERSION_IN_USE', 'STORE_UNAVAILABLE'],
    async handle(ctx, { params: { name, version: number } }) {
      await functions.deleteVersion(ctx.state.owner, name, number);
      ctx.status = 204;
    },
  }),
];

function toView(
  { version: number, createdAt, image, imageDigest, code }: VersionSummary,
  active: number,
): z.infer<typeof version> {
  return {
    version: number,
    active: number === active,
    createdAt: isoTime(createdAt),
    ...(image !== undefined && { image }),
    ...(imageDigest !== undefined && { imageDigest }),
    ...(code && { runtimeName: code.runtimeName, sha256: code.bundle.sha256, size: code.bundle.size }),
  };
}
