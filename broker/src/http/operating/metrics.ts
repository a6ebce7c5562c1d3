import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

/** For a scraper of this network; nothing in it names a user or a function. */
export const metricsRoutes = ({ metrics }: Pick<Services, 'metrics'>): Route[] => [
  route({
    method: 'GET',
    path: '/metrics',
    access: 'anyone',
    summary: 'What the broker counts and measures, for Prometheus',
    answers: {
      200: { description: 'Metrics in the text format of Prometheus', types: ['text/plain; version=0.0.4'] },
    },
    async handle(ctx) {
      ctx.set('Content-Type', metrics.contentType);
      ctx.body = await metrics.text();
    },
  }),
];
