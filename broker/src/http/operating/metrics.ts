import { routes } from '@panal/api';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

/** For a scraper of this network; nothing in it names a user or a function. */
export const metricsRoutes = ({ metrics }: Pick<Services, 'metrics'>): Route[] => [
  route(routes.metrics, async (ctx) => {
    ctx.set('Content-Type', metrics.contentType);
    ctx.body = await metrics.text();
  }),
];
