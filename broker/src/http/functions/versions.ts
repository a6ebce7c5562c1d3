import { MAX_PAGE, routes, type VersionView } from '@panal/api';
import type { VersionSummary } from '@panal/db';
import { nextPage } from '../routing/link.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';

export const versionRoutes = ({ functions }: Pick<Services, 'functions'>): Route[] => [
  route(routes.listVersions, async (ctx, { params: { name }, query: { limit = MAX_PAGE, after = 0 } }) => {
    const { owner } = ctx.state;
    const { active, versions } = await functions.history({ owner, name, after, limit: limit + 1 });
    ctx.body = versions.slice(0, limit).map((each) => toView(each, active));
    const last = versions[limit - 1];
    if (versions.length > limit && last !== undefined) nextPage(ctx, { limit, after: last.version });
  }),
  route(routes.deleteVersion, async (ctx, { params: { name, version: number } }) => {
    await functions.deleteVersion(ctx.state.owner, name, number);
    ctx.status = 204;
  }),
];

function toView(
  { version: number, createdAt, image, imageDigest, code }: VersionSummary,
  active: number,
): VersionView {
  return {
    version: number,
    active: number === active,
    createdAt: isoTime(createdAt),
    ...(image !== undefined && { image }),
    ...(imageDigest !== undefined && { imageDigest }),
    ...(code && { runtimeName: code.runtimeName, sha256: code.bundle.sha256, size: code.bundle.size }),
  };
}
