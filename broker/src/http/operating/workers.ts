import { z } from 'zod';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

const worker = z.strictObject({
  id: z.string(),
  host: z.string(),
  state: z.enum(['up', 'draining']),
  sandbox: z.enum(['docker', 'process']).describe('The sandbox driver.'),
  path: z.enum(['agent', 'engine', 'direct']).describe('How calls reach their process.'),
  slots: z.int().min(1),
  memoryMb: z.int().min(1).optional().describe('What its running calls may take together, in MiB.'),
  lastHeartbeat: z.iso.datetime(),
  miniWorkers: z.array(
    z.strictObject({
      id: z.int().min(0),
      state: z.enum(['idle', 'busy']),
      functionName: z.string().optional(),
      callNum: z.int().min(1).optional(),
    }),
  ),
  holds: z
    .record(z.string(), z.int().min(0))
    .describe(
      'Idle sandboxes that stand ready, by the id of a version of your own or `runtime:IMAGE`; `others`: those of ' +
        'versions of others, or not called since the worker connected.',
    ),
});

/** A connected worker. */
export type WorkerView = z.infer<typeof worker>;

export const workerRoutes = ({ cluster, runtimes }: Services): Route[] => [
  route({
    method: 'GET',
    path: '/workers',
    summary: 'The connected workers; what they do for others is not named',
    answers: { 200: { description: 'Workers', json: z.array(worker) } },
    async handle(ctx) {
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
    },
  }),
];

/** The image of a runtime whose blank sandboxes go by this key. */
function imageOf(key: string): string | undefined {
  return /^runtime:(.*)$/s.exec(key)?.[1];
}
