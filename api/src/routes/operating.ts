import { z } from 'zod';
import type { RouteDescription } from '../route.js';

/** A connected worker as clients see it. */
export const workerSchema = z.object({
  id: z.string(),
  host: z.string(),
  state: z.enum(['up', 'draining']),
  sandbox: z.enum(['docker', 'process']).describe('The sandbox driver.'),
  path: z.enum(['agent', 'engine', 'direct']).describe('How calls reach their process.'),
  slots: z.int().min(1),
  memoryMb: z.int().min(1).optional().describe('What its running calls may take together, in MiB.'),
  lastHeartbeat: z.iso.datetime(),
  miniWorkers: z.array(
    z.object({
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
export type WorkerView = z.infer<typeof workerSchema>;

export const operatingRoutes = {
  listWorkers: {
    method: 'GET',
    path: '/workers',
    summary: 'The connected workers; what they do for others is not named',
    answers: { 200: { description: 'Workers', json: z.array(workerSchema) } },
  },
  health: {
    method: 'GET',
    path: '/healthz',
    access: 'anyone',
    summary: 'Whether the broker is alive',
    answers: { 200: { description: 'It is', json: z.object({ status: z.literal('ok') }) } },
  },
  readiness: {
    method: 'GET',
    path: '/readyz',
    access: 'anyone',
    summary: 'Whether calls can be served',
    answers: {
      200: { description: 'They can', json: z.object({ status: z.literal('ready') }) },
      503: {
        description: 'They cannot, and why',
        json: z.object({ status: z.literal('unready'), problems: z.array(z.string()) }),
      },
    },
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    access: 'anyone',
    summary: 'What the broker counts and measures, for Prometheus',
    answers: {
      200: { description: 'Metrics in the text format of Prometheus', types: ['text/plain; version=0.0.4'] },
    },
  },
  backup: {
    method: 'GET',
    path: '/backup',
    access: 'anyone',
    summary: 'A copy of all that the broker keeps, of one moment, for its operator',
    headers: { Authorization: '`Bearer` and the token in `FAAS_OPERATOR_TOKEN`.' },
    answers: {
      200: { description: 'A tar archive that `panal restore` takes', types: ['application/x-tar'] },
    },
    errors: ['UNAUTHORIZED', 'FORBIDDEN', 'STORE_UNAVAILABLE'],
  },
  openApi: {
    method: 'GET',
    path: '/openapi.json',
    summary: 'This description',
    access: 'anyone',
    answers: { 200: { description: 'OpenAPI 3.1', json: z.looseObject({ openapi: z.string() }) } },
  },
} satisfies Record<string, RouteDescription>;
