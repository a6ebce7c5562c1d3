import {
  BUNDLE_FORMATS,
  functionSettingsSchema,
  PanalError,
  type FunctionSettings,
  type ImageFunctionSpec,
} from '@panal/protocol';
import { z } from 'zod';
import { imageDigestSchema, imageSchema, nameSchema } from '../../functions/fields.js';
import type { FunctionDetail } from '../../functions/functions.js';
import { acceptAndAnswer, ACCEPTS_CALL } from '../calls/accepted-call.js';
import { PREPARE } from '../calls/call-input.js';
import { CALL_ERRORS } from '../calls/keyed-call.js';
import { answerNames, namesAnswer, namesQuery } from '../routing/name-pages.js';
import { parse } from '../routing/parse.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';
import { uploadReceiver, type Upload } from './upload.js';

const imageRegistration = functionSettingsSchema.extend({ functionName: nameSchema, image: imageSchema });

const upload = functionSettingsSchema
  .extend({ module: z.file().describe('A .zip or .tar.gz with the code at its root.') })
  .describe('`env` and `retry` as JSON text.');

const change = functionSettingsSchema.extend({
  image: imageSchema.optional().describe('Of an image function.'),
  version: z.int().min(1).optional().describe('Makes this version the active one; stands alone.'),
  activeVersion: z.int().min(1).optional().describe('The same as `version`.'),
});

const view = functionSettingsSchema.extend({
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

const byName = z.strictObject({ name: nameSchema });

export const functionRoutes = (services: Services): Route[] => {
  const { functions, uploadFolder, limits } = services;
  const receive = uploadReceiver(uploadFolder, limits);
  const show = async (detail: FunctionDetail): Promise<z.infer<typeof view>> =>
    toView(detail, await functions.versions(detail.record.owner, detail.record.name));

  return [
    route({
      method: 'POST',
      path: '/registerFunction',
      summary: 'Register an image as a function, or as its next version',
      body: imageRegistration,
      answers: { 201: { description: 'Registered', json: view } },
      errors: ['NO_CONTAINER_ENGINE', 'QUOTA_EXCEEDED', 'STORE_UNAVAILABLE'],
      async handle(ctx, { body: { functionName, image, ...settings } }) {
        const detail = await functions.registerImage(ctx.state.owner, functionName, image, settings);
        ctx.status = 201;
        ctx.body = await show(detail);
      },
    }),
    route({
      method: 'POST',
      path: '/registerFunction/:runtime/:funcName',
      summary: 'Register code on a runtime as a function, or as its next version',
      params: z.strictObject({ runtime: nameSchema, funcName: nameSchema }),
      rawBody: { type: 'multipart/form-data', schema: upload },
      answers: { 201: { description: 'Registered', json: view } },
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
      async handle(ctx, { params: { runtime, funcName } }) {
        const { owner } = ctx.state;
        await receive(ctx, async ({ file, fields }) => {
          const settings = settingsOf(fields);
          const detail = await functions.registerBundle(owner, funcName, runtime, file, settings);
          ctx.status = 201;
          ctx.body = await show(detail);
        });
      },
    }),
    route({
      method: 'GET',
      path: '/functions',
      summary: 'Names of the functions',
      query: namesQuery,
      answers: { 200: namesAnswer },
      handle: (ctx, { query }) => answerNames(ctx, query, (page) => functions.list(page)),
    }),
    route({
      method: 'GET',
      path: '/functions/:name',
      summary: 'A function, with the settings of its active version',
      params: byName,
      answers: { 200: { description: 'The function', json: view } },
      errors: ['FUNCTION_NOT_FOUND'],
      async handle(ctx, { params }) {
        ctx.body = await show(await functions.get(ctx.state.owner, params.name));
      },
    }),
    route({
      method: 'PUT',
      path: '/functions/:name',
      summary: 'Change settings or image, which makes the next version; or go back to a version',
      params: byName,
      body: change,
      answers: { 200: { description: 'The function', json: view } },
      errors: [
        'FUNCTION_NOT_FOUND',
        'VERSION_NOT_FOUND',
        'NO_CONTAINER_ENGINE',
        'QUOTA_EXCEEDED',
        'STORE_UNAVAILABLE',
      ],
      async handle(ctx, { params, body: { version, activeVersion = version, image, ...settings } }) {
        const { owner } = ctx.state;
        const changes = (image === undefined ? 0 : 1) + Object.keys(settings).length;
        if (
          (activeVersion === undefined) === (changes === 0) ||
          (version ?? activeVersion) !== activeVersion
        ) {
          throw new PanalError('INVALID_REQUEST', 'give either settings and image to change, or one version');
        }
        ctx.body = await show(
          activeVersion === undefined
            ? await functions.change(owner, params.name, image, settings)
            : await functions.activate(owner, params.name, activeVersion),
        );
      },
    }),
    route({
      method: 'POST',
      path: '/functions/:name/prepare',
      summary: 'Prepare the active version on a worker, by a call that does not run the function',
      params: byName,
      ...ACCEPTS_CALL,
      errors: ['FUNCTION_NOT_FOUND', 'NOT_FOUND', ...CALL_ERRORS],
      async handle(ctx, { params, query }) {
        await acceptAndAnswer(services, ctx, { funcName: params.name, input: PREPARE }, query.wait);
      },
    }),
    route({
      method: 'DELETE',
      path: '/functions/:name',
      summary: 'Delete a function with all its versions; its calls stay',
      params: byName,
      answers: { 204: { description: 'Deleted' } },
      errors: ['FUNCTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
      async handle(ctx, { params }) {
        await functions.delete(ctx.state.owner, params.name);
        ctx.status = 204;
      },
    }),
  ];
};

/** Settings that stand in a form as they are; all others are JSON text there. */
const TEXT_SETTINGS: readonly string[] = ['lifecycle', 'network'];

function settingsOf(fields: Upload['fields']): FunctionSettings {
  const settings = fields.map(([name, value]) => [
    name,
    TEXT_SETTINGS.includes(name) ? value : jsonField(name, value),
  ]);
  return parse(functionSettingsSchema, Object.fromEntries(settings));
}

function jsonField(name: string, text: unknown): unknown {
  try {
    if (typeof text === 'string') return JSON.parse(text, refusePoison);
  } catch (error) {
    if (error instanceof PanalError) throw error;
    // Said below.
  }
  throw new PanalError('INVALID_REQUEST', `${name}: must be given once, as a number or as JSON`);
}

/** As in every JSON body; the schemas would pass over it in silence. */
function refusePoison(key: string, value: unknown): unknown {
  if (key !== '__proto__') return value;
  throw new PanalError('INVALID_REQUEST', 'the form has a forbidden key, __proto__');
}

function toView({ record, active }: FunctionDetail, versions: number[]): z.infer<typeof view> {
  const { spec, settings } = active;
  return {
    functionName: record.name,
    kind: spec.kind,
    ...(spec.kind === 'image' ? imageOf(spec) : { runtimeName: spec.runtime.name, ...spec.bundle }),
    version: record.activeVersion,
    versions,
    ...settings,
    ...spec.settings,
    createdAt: isoTime(record.createdAt),
    updatedAt: isoTime(record.updatedAt),
  };
}

const imageOf = ({
  image,
  imageDigest,
}: ImageFunctionSpec): Pick<z.infer<typeof view>, 'image' | 'imageDigest'> => ({
  image,
  ...(imageDigest !== undefined && { imageDigest }),
});
