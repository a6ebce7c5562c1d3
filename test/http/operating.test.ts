import { expect } from 'chai';
import { z } from 'zod';
import { allRoutes } from '../../broker/src/http/app.js';
import { errorCodes } from '@panal/api';
import { startedApi } from './api.js';

describe('operating routes', () => {
  const api = startedApi();

  it('say that the broker is alive, and whether it is ready', async () => {
    expect((await api().get('/healthz')).json).to.deep.equal({ status: 'ok' });
    expect((await api().get('/readyz')).json).to.deep.equal({ status: 'ready' });
    api().problems.push('no worker is connected');
    const reply = await api().get('/readyz');
    expect([reply.status, reply.json]).to.deep.equal([
      503,
      { status: 'unready', problems: ['no worker is connected'] },
    ]);
    expect((await api().get('/healthz')).status).to.equal(200);
  });

  it('show the workers', async () => {
    const worker = {
      id: 'w1',
      host: 'h',
      state: 'up',
      sandbox: 'docker',
      path: 'agent',
      slots: 2,
      lastHeartbeat: '2026-01-01T00:00:00.000Z',
      miniWorkers: [
        { id: 0, state: 'busy', functionName: 'dice', callNum: 7 },
        { id: 1, state: 'idle' },
      ],
      holds: { 'runtime:pythonruntime': 1 },
    } as const;
    api().cluster.views = [{ ...worker, miniWorkers: [...worker.miniWorkers] }];
    expect((await api().get('/workers')).json).to.deep.equal([worker]);
  });
});

const operation = z.object({
  operationId: z.string(),
  summary: z.string().min(1),
  parameters: z.array(z.looseObject({ in: z.string(), name: z.string(), required: z.boolean().optional() })),
  requestBody: z
    .object({ content: z.record(z.string(), z.object({ schema: z.looseObject({}) })) })
    .optional(),
  responses: z.record(z.string(), z.looseObject({ description: z.string() })),
});
const document = z.object({
  openapi: z.literal('3.1.0'),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({ schemas: z.record(z.string(), z.looseObject({})) }),
});

describe('GET /openapi.json', () => {
  const api = startedApi();
  const described = async () => document.parse((await api().get('/openapi.json')).json);

  it('describes every route, and no other', async () => {
    const { paths } = await described();
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    const routes = allRoutes(api().services).map(({ method, path }) => `${method} ${path}`);
    expect(operations).to.have.members(routes);
    expect(routes).to.include.members(['POST /run/:funcName', 'GET /openapi.json', 'DELETE /call/:callNum']);
  });

  it('gives each operation an id of its own, its path parameters, and every error that it may answer with', async () => {
    const { paths } = await described();
    const ids = Object.values(paths).flatMap((methods) =>
      Object.values(methods).map((each) => each.operationId),
    );
    expect(new Set(ids).size).to.equal(ids.length);
    for (const route of allRoutes(api().services)) {
      const each = paths[route.path.replace(/:(\w+)/g, '{$1}')]?.[route.method.toLowerCase()];
      const inPath = each?.parameters.filter((parameter) => parameter.in === 'path' && parameter.required);
      expect(inPath?.map(({ name }) => `:${name}`) ?? []).to.deep.equal(route.path.match(/:\w+/g) ?? []);
      const responses = JSON.stringify(each?.responses);
      for (const code of errorCodes(route)) expect(responses, route.path).to.contain(code);
    }
  });

  it('describes requests by the schemas that check them', async () => {
    const { paths } = await described();
    const invoke = paths['/invokeFunction']?.post;
    expect(invoke?.requestBody?.content['application/json']?.schema).to.deep.include({
      additionalProperties: false,
      required: ['funcName'],
    });
    expect(invoke?.parameters.map(({ in: place, name }) => `${place} ${name}`)).to.deep.equal([
      'query wait',
      'header Prefer',
      'header Idempotency-Key',
    ]);
    const upload = paths['/registerFunction/{runtime}/{funcName}']?.post?.requestBody?.content;
    expect(upload?.['multipart/form-data']?.schema).to.have.nested.property(
      'properties.module.format',
      'binary',
    );
  });
});
