import { z } from 'zod';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

const health = z.strictObject({ status: z.literal('ok') });
const ready = z.strictObject({ status: z.literal('ready') });
const unready = z.strictObject({ status: z.literal('unready'), problems: z.array(z.string()) });

export const operatingRoutes = ({ readiness }: Services): Route[] => [
  route({
    method: 'GET',
    path: '/healthz',
    access: 'anyone',
    summary: 'Whether the broker is alive',
    answers: { 200: { description: 'It is', json: health } },
    handle(ctx) {
      ctx.body = { status: 'ok' } satisfies z.infer<typeof health>;
    },
  }),
  route({
    method: 'GET',
    path: '/readyz',
    access: 'anyone',
    summary: 'Whether calls can be served',
    answers: {
      200: { description: 'They can', json: ready },
      503: { description: 'They cannot, and why', json: unready },
    },
    handle(ctx) {
      const problems = readiness.problems();
      if (problems.length === 0) {
        ctx.body = { status: 'ready' } satisfies z.infer<typeof ready>;
        return;
      }
      ctx.status = 503;
      ctx.body = { status: 'unready', problems } satisfies z.infer<typeof unready>;
    },
  }),
];
