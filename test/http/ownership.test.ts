import { expect } from 'chai';
import type { Hello } from '@panal/transport';
import { viewOf } from '../../broker/src/scheduling/worker-table.js';
import { allRoutes } from '../../broker/src/http/app.js';
import { tarGz } from '../../testkit/archives.js';
import { imageSpec } from '../support/specs.js';
import { startedApi, type Reply } from './api.js';
import { Person } from './person.js';

const module = tarGz([{ name: 'test.py', content: 'print(1)' }]);

/** A word in everything that belongs to Ana. */
const SECRET = 'anas-secret';

function form(): FormData {
  const form = new FormData();
  form.set('module', new Blob([module]), 'module.bin');
  return form;
}

type Body = string | FormData | undefined;

/** What Eve sends to each route to reach what Ana has; and what she gets. */
interface Attack {
  path: string;
  body?: () => Body;
  expect: number | ((reply: Reply) => void);
}

const json = (value: unknown) => (): string => JSON.stringify(value);
const functionName = SECRET;
const empty =
  (nothing: unknown) =>
  ({ status, json: shown }: Reply): void => {
    expect([status, shown]).to.deep.equal([200, nothing]);
  };
/** The route makes something of Eve's own. */
const ofHerOwn = ({ status }: Reply): void => {
  expect(status).to.be.within(200, 202);
};

const ATTACKS: Readonly<Record<string, Attack[]>> = {
  'POST /run/:funcName': [{ path: `/run/${SECRET}`, body: () => 'x', expect: 404 }],
  'POST /invokeFunction': [
    { path: '/invokeFunction', body: json({ funcName: SECRET }), expect: 404 },
    { path: '/invokeFunction?wait=5', body: json({ funcName: SECRET }), expect: 404 },
  ],
  'GET /call/:callNum': [1, 2, 3].map((n) => ({ path: `/call/${n}`, expect: 404 })),
  'DELETE /call/:callNum': [1, 2, 3].map((n) => ({ path: `/call/${n}`, expect: 404 })),
  'POST /call/:callNum/retry': [1, 2, 3].map((n) => ({ path: `/call/${n}/retry`, expect: 404 })),
  'GET /call/:callNum/logs': [1, 2, 3].flatMap((n) => [
    { path: `/call/${n}/logs`, expect: 404 },
    { path: `/call/${n}/logs?follow=1`, expect: 404 },
  ]),
  'GET /calls': [
    '',
    '?before=99',
    '?status=DONE',
    '?status=PENDING',
    '?status=RUNNING',
    `?funcName=${SECRET}`,
    `?funcName=${SECRET}&status=DONE`,
  ].map((query) => ({ path: `/calls${query}`, expect: empty({}) })),
  'POST /registerFunction': [
    { path: '/registerFunction', body: json({ functionName, image: 'eve/own' }), expect: ofHerOwn },
  ],
  'POST /registerFunction/:runtime/:funcName': [
    { path: `/registerFunction/${SECRET}/mine`, body: form, expect: 404 },
    { path: `/registerFunction/pythonruntime/${SECRET}`, body: form, expect: ofHerOwn },
  ],
  'GET /functions': [
    { path: '/functions', expect: empty([]) },
    { path: '/functions?after=a', expect: empty([]) },
  ],
  'GET /functions/:name': [{ path: `/functions/${SECRET}`, expect: 404 }],
  'PUT /functions/:name': [
    { path: `/functions/${SECRET}`, body: json({ memoryMb: 64 }), expect: 404 },
    { path: `/functions/${SECRET}`, body: json({ version: 1 }), expect: 404 },
    { path: `/functions/${SECRET}`, body: json({ image: 'eve/own' }), expect: 404 },
  ],
  'POST /functions/:name/prepare': [{ path: `/functions/${SECRET}/prepare`, expect: 404 }],
  'DELETE /functions/:name': [{ path: `/functions/${SECRET}`, expect: 404 }],
  'GET /functions/:name/versions': [{ path: `/functions/${SECRET}/versions`, expect: 404 }],
  'DELETE /functions/:name/versions/:version': [{ path: `/functions/${SECRET}/versions/1`, expect: 404 }],
  'POST /registerRuntime': [
    {
      path: '/registerRuntime',
      body: json({ name: SECRET, image: 'eve/own', path: '/x', run: 'x' }),
      expect: ({ status }) => expect(status).to.equal(201),
    },
  ],
  'GET /runtimes': [{ path: '/runtimes', expect: empty(['pythonruntime']) }],
  'GET /runtimes/:name': [{ path: `/runtimes/${SECRET}`, expect: 404 }],
  'DELETE /runtimes/:name': [
    { path: `/runtimes/${SECRET}`, expect: 404 },
    { path: '/runtimes/pythonruntime', expect: 403 },
  ],
  'GET /workers': [
    { path: '/workers', expect: ({ status, text }) => expect([status, text]).to.deep.equal([200, '[]']) },
  ],
  'POST /functions/register': [
    {
      path: '/functions/register',
      body: json({ functionName, dockerImage: 'eve/own' }),
      expect: ofHerOwn,
    },
  ],
  'POST /functions/deregister': [
    { path: '/functions/deregister', body: json({ functionName }), expect: 404 },
  ],
  'POST /functions/activate': [
    { path: '/functions/activate', body: json({ functionName, parameter: 'x' }), expect: 404 },
  ],
  'GET /users/me': [
    {
      path: '/users/me',
      expect: ({ json: shown }) => expect(shown).to.include({ email: 'eve@example.org' }),
    },
  ],
  'PUT /users/me/password': [
    {
      path: '/users/me/password',
      body: json({ password: 'not her own', newPassword: 'x' }),
      expect: 401,
    },
  ],
  'DELETE /users/me/tokens': [{ path: '/users/me/tokens', expect: empty({ revoked: true }) }],
  'DELETE /users/me': [{ path: '/users/me', expect: empty({ deleted: true }) }],
  'GET /auth/verify': [{ path: '/auth/verify', expect: empty({ user: 'eve@example.org' }) }],
};

/** Routes that have nothing of anybody's, or where one is nobody yet. */
const NOBODYS = [
  'GET /healthz',
  'GET /readyz',
  'GET /openapi.json',
  'POST /register',
  'POST /users',
  'POST /users/token',
  'GET /metrics',
  'GET /backup',
];

describe('What another user owns', () => {
  const api = startedApi();
  let ana: Person;

  /** All that Ana can see of her own. */
  const estate = async (): Promise<string[]> => {
    const paths = ['/functions', `/functions/${SECRET}`, `/functions/${SECRET}/versions`, '/runtimes'];
    const all = [...paths, `/runtimes/${SECRET}`, '/calls', '/call/1/logs'];
    return await Promise.all(all.map(async (path) => (await ana.get(path)).text));
  };

  beforeEach(async () => {
    ana = await Person.register(api(), 'ana@example.org');
    const runtime = { name: SECRET, image: `${SECRET}/image`, path: '/ws', run: SECRET };
    await ana.post('/registerRuntime', runtime);
    const upload = (): Promise<Reply> => ana.send('POST', `/registerFunction/${SECRET}/${SECRET}`, form());
    expect((await upload()).status).to.equal(201);
    await upload();
    // One call that has ended, one that runs, one that waits.
    for (let n = 0; n < 3; n++) await ana.post('/invokeFunction', { funcName: SECRET, params: SECRET });
    await api().end(await api().take(), SECRET, {}, SECRET);
    await api().take();
  });

  for (const who of ['a user', 'nobody'] as const) {
    it(`is 404 to ${who} on every route, or not in its list`, async () => {
      const before = await estate();
      const sent = await Person.register(api(), 'eve@example.org');
      const eve = who === 'nobody' ? api() : sent;
      for (const { method, path, access } of allRoutes(api().services)) {
        const key = `${method} ${path}`;
        if (NOBODYS.includes(key) || (who === 'nobody' && access === 'user')) continue;
        const attacks = ATTACKS[key];
        expect(attacks, `${key} is not tried`).not.to.equal(undefined);
        for (const attack of attacks ?? []) {
          // Each with nothing of Eve's own from the one before.
          await clear(eve);
          const reply = await eve.send(method, attack.path, attack.body?.());
          expect(reply.text.replaceAll(attack.path, ''), `${key} tells of it`).not.to.contain(
            `"${SECRET}/image`,
          );
          if (typeof attack.expect === 'number')
            expect(reply.status, `${key}: ${reply.text}`).to.equal(attack.expect);
          else attack.expect(reply);
          if (key === 'DELETE /users/me') await Person.register(api(), sent.name);
        }
      }
      expect(await estate()).to.deep.equal(before);
    });
  }

  /** Removes what Eve made. */
  async function clear(eve: Pick<Person, 'get' | 'send'>): Promise<void> {
    for (const what of ['functions', 'runtimes']) {
      const names = (await eve.get(`/${what}`)).json as string[];
      for (const name of names) await eve.send('DELETE', `/${what}/${name}`);
    }
  }
});

describe('A mini-worker that runs a call', () => {
  it('names function and call to their owner alone', () => {
    const job = {
      callNum: 7,
      attempt: 1,
      acceptedAt: 0,
      spec: imageSpec(SECRET, { owner: 'ana' }),
      maxConcurrency: 1,
      input: 'none' as const,
      params: new Uint8Array(0),
    };
    const hello = { slots: 1, host: 'h', sandbox: 'docker', path: 'agent' } as Hello;
    const attempt = { lease: 'l', job, workerId: 'w1', slot: 0, held: undefined, ending: false };
    const worker = {
      id: 'w1',
      peer: '',
      hello,
      capabilities: new Set<string>(),
      specs: new Map<string, never>(),
      draining: false,
      lastHeard: 0,
    };
    const view = (owner: string): unknown =>
      viewOf({ ...worker, attempts: new Map([['l', attempt]]) }, new Map(), owner).miniWorkers;
    expect(view('ana')).to.deep.equal([{ id: 0, state: 'busy', functionName: SECRET, callNum: 7 }]);
    expect(view('eve')).to.deep.equal([{ id: 0, state: 'busy' }]);
  });
});

describe('The sandboxes that a worker keeps', () => {
  it('are named to the owner of their function alone, and counted for others', () => {
    const hello = { slots: 1, host: 'h', sandbox: 'docker', path: 'agent' } as Hello;
    const specs = new Map([
      ['anas-id', { owner: 'ana', imageDigest: undefined }],
      ['bens-id', { owner: 'ben', imageDigest: undefined }],
    ]);
    const capabilities = new Set<string>();
    const state = { attempts: new Map(), draining: false, lastHeard: 0 };
    const worker = { id: 'w1', peer: '', hello, capabilities, specs, ...state };
    // Of the last one nobody said yet whose it is.
    const holds = new Map([
      ['anas-id', 1],
      ['runtime:python', 2],
      ['bens-id', 3],
      ['some-id', 4],
    ]);
    const shown = (owner: string): unknown => viewOf(worker, holds, owner).holds;
    expect(shown('ana')).to.deep.equal({ 'anas-id': 1, 'runtime:python': 2, others: 7 });
    expect(shown('ben')).to.deep.equal({ 'bens-id': 3, 'runtime:python': 2, others: 5 });
    expect(shown('public')).to.deep.equal({ 'runtime:python': 2, others: 8 });
  });
});

describe('What workers do', () => {
  const api = startedApi();

  it('for others is not named, nor are the images of their runtimes', async () => {
    const ana = await Person.register(api(), 'ana');
    await ana.post('/registerRuntime', { name: 'own', image: 'anas/image', path: '/ws', run: 'x' });
    const holds = { 'runtime:anas/image': 1, 'runtime:pythonruntime': 2, 'some-id': 3 };
    const worker = {
      id: 'w1',
      host: 'h',
      state: 'up' as const,
      sandbox: 'docker' as const,
      path: 'agent' as const,
      slots: 1,
      lastHeartbeat: '2026-01-01T00:00:00.000Z',
      miniWorkers: [],
      holds,
    };
    api().cluster.views = [worker];
    expect((await ana.get('/workers')).json).to.deep.equal([worker]);
    const others = { 'runtime:pythonruntime': 2, 'some-id': 3 };
    expect((await api().get('/workers')).json).to.deep.equal([{ ...worker, holds: others }]);
  });
});
