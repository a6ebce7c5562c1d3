import { openApiText, routes, type AnswerJson } from '@panal/api';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

export const operatingRoutes = ({ readiness }: Pick<Services, 'readiness'>): Route[] => {
  let document: string | undefined;
  return [
    route(routes.health, (ctx) => {
      ctx.body = { status: 'ok' } satisfies AnswerJson<typeof routes.health>;
    }),
    route(routes.readiness, (ctx) => {
      const problems = readiness.problems();
      if (problems.length === 0) {
        ctx.body = { status: 'ready' } satisfies AnswerJson<typeof routes.readiness>;
        return;
      }
      ctx.status = 503;
      ctx.body = { status: 'unready', problems } satisfies AnswerJson<typeof routes.readiness>;
    }),
    route(routes.openApi, (ctx) => {
      document ??= openApiText();
      ctx.type = 'application/json';
      ctx.body = document;
    }),
  ];
};
