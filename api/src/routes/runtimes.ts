import { z } from 'zod';
import { commandSchema, imageSchema, nameSchema, pathSchema } from '../fields.js';
import { byName, namesAnswer, namesQuery } from '../query.js';
import type { RouteDescription } from '../route.js';

/** A runtime as clients register it. */
export const runtimeRegistrationSchema = z.strictObject({
  name: nameSchema.optional().describe("Default: the image's last path part without tag."),
  image: imageSchema,
  path: pathSchema.describe('Folder in the sandbox at which a bundle is unpacked.'),
  dependencies: commandSchema.optional().describe('Run at `path`, once for each bundle.'),
  dependencyFiles: z
    .array(nameSchema.or(z.literal('.npmrc')))
    .max(32)
    .optional()
    .describe(
      'All files at the root of a bundle that `dependencies` read: what was made of them is used again.',
    ),
  run: commandSchema.describe('Run at `path` for each call.'),
  handler: commandSchema.optional().describe('Keeps running and serves calls: for lifecycle `hot`.'),
});
export type RuntimeRegistration = z.infer<typeof runtimeRegistrationSchema>;

/** A runtime as clients see it. */
export const runtimeSchema = z.object({
  ...runtimeRegistrationSchema.shape,
  name: nameSchema,
  bundled: z.boolean().describe('Comes with Panal, and is read-only.'),
  createdAt: z.iso.datetime().optional(),
  updatedAt: z.iso.datetime().optional(),
});
export type RuntimeView = z.infer<typeof runtimeSchema>;

export const runtimeRoutes = {
  registerRuntime: {
    method: 'POST',
    path: '/registerRuntime',
    summary: 'Register a runtime, or replace the one of that name',
    body: runtimeRegistrationSchema,
    answers: {
      200: { description: 'Replaced', json: runtimeSchema },
      201: { description: 'Registered', json: runtimeSchema },
    },
    errors: ['QUOTA_EXCEEDED', 'STORE_UNAVAILABLE'],
  },
  listRuntimes: {
    method: 'GET',
    path: '/runtimes',
    summary: 'Names of the runtimes that can be used',
    query: namesQuery,
    answers: { 200: namesAnswer },
  },
  getRuntime: {
    method: 'GET',
    path: '/runtimes/:name',
    summary: 'A runtime',
    params: byName,
    answers: { 200: { description: 'The runtime', json: runtimeSchema } },
    errors: ['RUNTIME_NOT_FOUND'],
  },
  deleteRuntime: {
    method: 'DELETE',
    path: '/runtimes/:name',
    summary: 'Delete a runtime that no function uses',
    params: byName,
    answers: { 204: { description: 'Deleted' } },
    errors: ['RUNTIME_NOT_FOUND', 'RUNTIME_IN_USE', 'FORBIDDEN', 'STORE_UNAVAILABLE'],
  },
} satisfies Record<string, RouteDescription>;
