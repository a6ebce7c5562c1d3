import { functionSettingsSchema, routes, type FunctionSettings, type FunctionView } from '@panal/api';
import { PanalError } from '@panal/protocol';
import type { FunctionDetail } from '../../functions/functions.js';
import { acceptAndAnswer } from '../calls/accepted-call.js';
import { PREPARE } from '../calls/call-input.js';
import { answerNames } from '../routing/name-pages.js';
import { parse } from '../routing/parse.js';
import { route, waitingRoute, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';
import { uploadReceiver, type Upload } from './upload.js';

export const functionRoutes = (services: Services): Route[] => {
  const { functions, uploadFolder, limits, memory } = services;
  const receive = uploadReceiver(uploadFolder, limits, memory);
  const show = async (detail: FunctionDetail): Promise<FunctionView> =>
    toView(detail, await functions.versions(detail.record.owner, detail.record.name));

  return [
    route(routes.registerImage, async (ctx, { body: { functionName, image, ...settings } }) => {
      const detail = await functions.registerImage(ctx.state.owner, functionName, image, settings);
      ctx.status = 201;
      ctx.body = await show(detail);
    }),
    route(routes.registerBundle, async (ctx, { params: { runtime, funcName } }) => {
      const { owner } = ctx.state;
      await receive(ctx, async ({ file, fields }) => {
        const settings = settingsOf(fields);
        const detail = await functions.registerBundle(owner, funcName, runtime, file, settings);
        ctx.status = 201;
        ctx.body = await show(detail);
      });
    }),
    route(routes.listFunctions, (ctx, { query }) => answerNames(ctx, query, (page) => functions.list(page))),
    route(routes.getFunction, async (ctx, { params }) => {
      ctx.body = await show(await functions.get(ctx.state.owner, params.name));
    }),
    route(
      routes.changeFunction,
      async (ctx, { params, body: { version, activeVersion = version, image, ...settings } }) => {
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
    ),
    waitingRoute(routes.prepareFunction, (ctx, { params, query }) =>
      acceptAndAnswer(services, ctx, { funcName: params.name, input: PREPARE }, query.wait),
    ),
    route(routes.deleteFunction, async (ctx, { params }) => {
      await functions.delete(ctx.state.owner, params.name);
      ctx.status = 204;
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

function toView({ record, active }: FunctionDetail, versions: number[]): FunctionView {
  const { spec, settings } = active;
  return {
    functionName: record.name,
    kind: spec.kind,
    ...(spec.kind === 'image' ? { image: spec.image } : { runtimeName: spec.runtime.name, ...spec.bundle }),
    ...(spec.imageDigest !== undefined && { imageDigest: spec.imageDigest }),
    version: record.activeVersion,
    versions,
    ...settings,
    ...spec.settings,
    createdAt: isoTime(record.createdAt),
    updatedAt: isoTime(record.updatedAt),
  };
}
