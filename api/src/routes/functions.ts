import { z } from 'zod';
import { imageDigestSchema, imageSchema, nameSchema } from '../fields.js';
import { byName, MAX_PAGE, namesAnswer, namesQuery, NEXT_PAGE, wholeNumber } from '../query.js';
import type { RouteDescription } from '../route.js';
import { BUNDLE_FORMATS, functionSettingsSchema, retryViewSchema } from '../settings.js';
import { ACCEPTS_CALL, CALL_ERRORS } from './accepting.js';

const imageRegistration = functionSettingsSchema.extend({ functionName: nameSchema, image: imageSchema });

const upload = functionSettingsSchema
  .extend({ module: z.file().describe('A .zip or .tar.gz with the code at its root.') })
  .describe('`env` and `retry` as JSON text.');

const change = functionSettingsSchema.extend({
  image: imageSchema.optional().describe('Of an image function.'),
  version: z.int().min(1).optional().describe('Makes this version the active one; stands alone.'),
  activeVersion: z.int().min(1).optional().describe('The same as `version`.'),
});

const settings = functionSettingsSchema.shape;

/** A function as clients see it. */
export const functionSchema = z.object({
  ...settings,
  // These have a default, so that every function has them.
  lifecycle: settings.lifecycle.unwrap(),
  timeoutMs: settings.timeoutMs.unwrap(),
  memoryMb: settings.memoryMb.unwrap(),
  network: settings.network.unwrap(),
  retry: retryViewSchema.optional(),
  functionName: nameSchema,
  kind: z.enum(['image', 'runtime']),
  image: imageSchema.optional(),
  imageDigest: imageDigestSchema.optional(),
  runtimeName: nameSchema.optional(),
  sha256: z.string().optional().describe('Of the bundle as it was uploaded.'),
  size: z.int().optional().describe('Of the bundle as it was uploaded, in bytes.'),
  format: z.enum(BUNDLE_FORMATS).optional(),
  version: z.int().min(1).describe('The active version: what calls accepted now run.'),
  versions: z.array(z.int().min(1)),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type FunctionView = z.infer<typeof functionSchema>;

/** A version of a function as clients see it. */
export const versionSchema = z.object({
  version: z.int().min(1),
  active: z.boolean().describe('Whether calls accepted now run it.'),
  createdAt: z.iso.datetime(),
  image: z.string().optional(),
  imageDigest: imageDigestSchema.optional(),
  runtimeName: nameSchema.optional(),
  sha256: z.string().optional().describe('Of the bundle as it was uploaded.'),
  size: z.int().optional().describe('Of the bundle as it was uploaded, in bytes.'),
});
export type VersionView = z.infer<typeof versionSchema>;

const versionNumber = wholeNumber(1, Number.MAX_SAFE_INTEGER);

export const functionRoutes = {
  registerImage: {
    method: 'POST',
    path: '/registerFunction',
    summary: 'Register an image as a function, or as its next version',
    body: imageRegistration,
    answers: { 201: { description: 'Registered', json: functionSchema } },
    errors: ['NO_CONTAINER_ENGINE', 'QUOTA_EXCEEDED', 'STORE_UNAVAILABLE'],
  },
  registerBundle: {
    method: 'POST',
    path: '/registerFunction/:runtime/:funcName',
    summary: 'Register code on a runtime as a function, or as its next version',
    params: z.strictObject({ runtime: nameSchema, funcName: nameSchema }),
    rawBody: { type: 'multipart/form-data', schema: upload },
    answers: { 201: { description: 'Registered', json: functionSchema } },
    errors: [
      'RUNTIME_NOT_FOUND',
      'INVALID_REQUEST',
      'BUNDLE_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'NOT_AN_ARCHIVE',
      'UNSAFE_ARCHIVE',
      'QUOTA_EXCEEDED',
      'QUEUE_FULL',
      'STORE_UNAVAILABLE',
    ],
  },
  listFunctions: {
    method: 'GET',
    path: '/functions',
    summary: 'Names of the functions',
    query: namesQuery,
    answers: { 200: namesAnswer },
  },
  getFunction: {
    method: 'GET',
    path: '/functions/:name',
    summary: 'A function, with the settings of its active version',
    params: byName,
    answers: { 200: { description: 'The function', json: functionSchema } },
    errors: ['FUNCTION_NOT_FOUND'],
  },
  changeFunction: {
    method: 'PUT',
    path: '/functions/:name',
    summary: 'Change settings or image, which makes the next version; or go back to a version',
    params: byName,
    body: change,
    answers: { 200: { description: 'The function', json: functionSchema } },
    errors: [
      'FUNCTION_NOT_FOUND',
      'VERSION_NOT_FOUND',
      'NO_CONTAINER_ENGINE',
      'QUOTA_EXCEEDED',
      'STORE_UNAVAILABLE',
    ],
  },
  prepareFunction: {
    method: 'POST',
    path: '/functions/:name/prepare',
    summary: 'Prepare the active version on a worker, by a call that does not run the function',
    params: byName,
    ...ACCEPTS_CALL,
    errors: ['FUNCTION_NOT_FOUND', 'NOT_FOUND', ...CALL_ERRORS],
  },
  deleteFunction: {
    method: 'DELETE',
    path: '/functions/:name',
    summary: 'Delete a function with all its versions; its calls stay',
    params: byName,
    answers: { 204: { description: 'Deleted' } },
    errors: ['FUNCTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
  },
  listVersions: {
    method: 'GET',
    path: '/functions/:name/versions',
    summary: 'The versions of a function, oldest first',
    params: byName,
    query: z.strictObject({
      limit: wholeNumber(1, MAX_PAGE).optional().describe(`Default: ${MAX_PAGE}.`),
      after: versionNumber.optional().describe('Only versions with a larger number.'),
    }),
    answers: {
      200: { description: 'Versions', json: z.array(versionSchema), headers: NEXT_PAGE },
    },
    errors: ['FUNCTION_NOT_FOUND'],
  },
  deleteVersion: {
    method: 'DELETE',
    path: '/functions/:name/versions/:version',
    summary: 'Delete a version that is not the active one; calls accepted with it still run it',
    params: byName.extend({ version: versionNumber }),
    answers: { 204: { description: 'Deleted' } },
    errors: ['FUNCTION_NOT_FOUND', 'VERSION_NOT_FOUND', 'VERSION_IN_USE', 'STORE_UNAVAILABLE'],
  },
} satisfies Record<string, RouteDescription>;
