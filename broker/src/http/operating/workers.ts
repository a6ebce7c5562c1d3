import { routes } from '@panal/api';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

export const workerRoutes = ({ cluster, runtimes }: Services): Route[] => [
  route(routes.listWorkers, async (ctx) => {
    const { owner } = ctx.state;
    const views = cluster.workers(owner);
    const held = views.flatMap(({ holds }) => Object.keys(holds)).map(imageOf);
    const images = await runtimes.known(owner, new Set(held.filter((image) => image !== undefined)));
    const isShown = (key: string): boolean => {
      const image = imageOf(key);
      return image === undefined || images.has(image);
    };
    ctx.body = views.map((view) => ({
      ...view,
      holds: Object.fromEntries(Object.entries(view.holds).filter(([key]) => isShown(key))),
    }));
  }),
];

/** The image of a runtime whose blank sandboxes go by this key. */
function imageOf(key: string): string | undefined {
  return /^runtime:(.*)$/s.exec(key)?.[1];
}
