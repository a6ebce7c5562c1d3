import { expect } from 'chai';
import { PUBLIC_OWNER } from '@panal/protocol';
import { tarGz } from '../../testkit/archives.js';
import { errorCode, startedApi } from './api.js';

describe('functions over HTTP', () => {
  const api = startedApi();
  const change = (body: object) => api().put('/functions/reverse', body);
  const show = async (name = 'reverse') =>
    (await api().get(`/functions/${name}`)).json as Record<string, unknown>;

  it('are registered by image, with every setting or its default', async () => {
    const plain = await api().registerImage('reverse');
    expect(plain.status).to.equal(201);
    expect(plain.json).to.include({
      functionName: 'reverse',
      kind: 'image',
      image: 'example/reverse',
      version: 1,
      lifecycle: 'fresh',
      timeoutMs: 60_000,
      memoryMb: 256,
      cpus: 1,
      pids: 128,
      network: 'none',
    });
    const settings = {
      lifecycle: 'warm',
      timeoutMs: 1000,
      memoryMb: 64,
      cpus: 0.5,
      pids: 16,
      network: 'bridge',
      env: { GREETING: 'hello' },
      maxConcurrency: 2,
      retry: { attempts: 3, backoffMs: 10 },
    };
    expect((await api().registerImage('set', settings)).json).to.deep.include(settings);
    expect(await show('set')).to.deep.include(settings);
  });

  it('are refused where a setting is wrong', async () => {
    const wrong: object[] = [
      { lifecycle: 'cold' },
      { lifecycle: 'hot' },
      { timeoutMs: 0 },
      { memoryMb: '256' },
      { cpus: -1 },
      { pids: 1.5 },
      { network: 'host' },
      { env: { 'NOT A NAME': 'x' } },
      { env: { A: 'nul\0' } },
      { env: [] },
      { retry: { attempts: 0 } },
      { retry: { attempts: 2, jitter: true } },
      { replicas: 2 },
      { image: 'no image' },
    ];
    for (const settings of wrong) {
      const reply = await api().registerImage('reverse', settings);
      expect([settings, reply.status, errorCode(reply)]).to.deep.equal([settings, 400, 'INVALID_REQUEST']);
    }
    expect((await api().get('/functions')).json).to.deep.equal([]);
  });

  it('may have any legal name, also one that JavaScript knows', async () => {
    for (const name of ['constructor', 'toString', '0', 'a.b_c-D', 'x'.repeat(128)]) {
      const reply = await api().post('/registerFunction', { functionName: name, image: 'example/x' });
      expect([name, reply.status]).to.deep.equal([name, 201]);
      expect(await show(name)).to.include({ functionName: name });
    }
    for (const functionName of ['__proto__', '', '.', 'a b', 'a/b', 'x'.repeat(129)]) {
      const reply = await api().post('/registerFunction', { functionName, image: 'example/x' });
      expect([functionName, reply.status, errorCode(reply)]).to.deep.equal([
        functionName,
        400,
        'INVALID_NAME',
      ]);
    }
    expect((await api().get('/functions/valueOf')).status).to.equal(404);
  });

  it('of an image are refused where no worker has a container engine, not where none is known', async () => {
    api().cluster.engine = false;
    const refused = await api().registerImage('reverse');
    expect([refused.status, errorCode(refused)]).to.deep.equal([422, 'NO_CONTAINER_ENGINE']);
    api().cluster.engine = undefined;
    expect((await api().registerImage('reverse')).status).to.equal(201);
    api().cluster.engine = false;
    const called = await api().post('/invokeFunction', { funcName: 'reverse' });
    expect([called.status, errorCode(called)]).to.deep.equal([422, 'NO_CONTAINER_ENGINE']);
  });

  it('get a new version with each registration, which calls run from then on', async () => {
    await api().registerImage('reverse');
    await api().post('/invokeFunction', { funcName: 'reverse' });
    const second = await api().registerImage('reverse', { memoryMb: 64 });
    expect([second.status, second.json]).to.deep.include(201);
    expect(second.json).to.deep.include({ version: 2, versions: [1, 2] });
    await api().post('/invokeFunction', { funcName: 'reverse' });
    const specs = [await api().take(), await api().take()].map(({ spec }) => spec);
    expect(specs.map(({ version, settings }) => [version, settings.memoryMb])).to.deep.equal([
      [1, 256],
      [2, 64],
    ]);
    expect(api().cluster.replaced).to.deep.equal([specs.map(({ id }) => id)]);
    expect(api().cluster.retired).to.deep.equal([]);
  });

  it('never share a version number, however many registrations come at once', async () => {
    const replies = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        i % 3 === 0
          ? api().upload('same', tarGz([{ name: `${i}.py` }]))
          : api().post('/registerFunction', { functionName: 'same', image: `example/${i}` }),
      ),
    );
    expect(replies.map(({ status }) => status)).to.deep.equal(Array(24).fill(201));
    const numbers = replies.map(({ json }) => (json as { version: number }).version);
    const all = Array.from({ length: 24 }, (_, i) => i + 1);
    expect(numbers.toSorted((a, b) => a - b)).to.deep.equal(all);
    expect(await show('same')).to.deep.include({ version: 24, versions: all });
    const active = await api().functions.active(PUBLIC_OWNER, 'same');
    expect(active.spec.version).to.equal(24);
  });

  it('change their settings and image by PUT, as a new version', async () => {
    await api().registerImage('reverse', { memoryMb: 64, env: { A: '1' } });
    expect((await change({ timeoutMs: 5 })).json).to.deep.include({ version: 2, memoryMb: 64, timeoutMs: 5 });
    const changed = await change({ image: 'example/other:2', env: { B: '2' } });
    expect(changed.status).to.equal(200);
    expect(changed.json).to.deep.include({
      version: 3,
      image: 'example/other:2',
      timeoutMs: 5,
      env: { B: '2' },
    });
    expect(await show()).to.deep.equal(changed.json);
  });

  it('go back to an earlier version, and on to a number never used', async () => {
    await api().registerImage('reverse', { memoryMb: 64 });
    await api().registerImage('reverse', { memoryMb: 65 });
    const back = await change({ version: 1 });
    expect([back.status, back.json]).to.deep.include(200);
    expect(back.json).to.deep.include({ version: 1, versions: [1, 2], memoryMb: 64 });
    await api().post('/invokeFunction', { funcName: 'reverse' });
    expect((await api().take()).spec.version).to.equal(1);
    expect((await change({ activeVersion: 2 })).json).to.include({ version: 2 });
    expect((await change({ activeVersion: 2 })).json).to.include({ version: 2 });
    await change({ version: 1 });
    expect((await change({ pids: 9 })).json).to.deep.include({ version: 3, memoryMb: 64 });
  });

  it('are not changed by a PUT that says nothing, too much, or wrong things', async () => {
    await api().registerImage('reverse');
    const before = await show();
    for (const body of [
      {},
      { version: 1, memoryMb: 64 },
      { version: 1, activeVersion: 2 },
      { version: '1' },
      { lifecycle: 'hot' },
      { functionName: 'other' },
      { image: '' },
    ]) {
      const reply = await change(body);
      expect([body, reply.status, errorCode(reply)]).to.deep.equal([body, 400, 'INVALID_REQUEST']);
    }
    const missing = await change({ version: 9 });
    expect([missing.status, errorCode(missing)]).to.deep.equal([404, 'VERSION_NOT_FOUND']);
    expect(await show()).to.deep.equal(before);
  });

  it('of a bundle take no image by PUT', async () => {
    await api().upload('roll', tarGz([{ name: 'test.py' }]));
    const reply = await api().put('/functions/roll', { image: 'example/x' });
    expect([reply.status, errorCode(reply)]).to.deep.equal([400, 'INVALID_REQUEST']);
    expect((await api().put('/functions/roll', { lifecycle: 'hot' })).json).to.include({
      lifecycle: 'hot',
      version: 2,
    });
  });

  it('are deleted with all versions, and start anew under their name', async () => {
    await api().registerImage('reverse');
    const { spec } = await api().functions.active(PUBLIC_OWNER, 'reverse');
    await change({ memoryMb: 64 });
    const { spec: second } = await api().functions.active(PUBLIC_OWNER, 'reverse');
    api().cluster.retired.length = 0;
    const reply = await api().send('DELETE', '/functions/reverse');
    expect([reply.status, reply.text]).to.deep.equal([204, '']);
    expect(api().cluster.retired).to.deep.equal([spec.id, second.id]);
    for (const gone of [
      await api().get('/functions/reverse'),
      await api().send('DELETE', '/functions/reverse'),
      await change({ memoryMb: 64 }),
      await api().post('/invokeFunction', { funcName: 'reverse' }),
      await api().send('POST', '/run/reverse', 'x'),
    ]) {
      expect([gone.status, errorCode(gone)]).to.deep.equal([404, 'FUNCTION_NOT_FOUND']);
    }
    await api().registerImage('reverse');
    const anew = await api().functions.active(PUBLIC_OWNER, 'reverse');
    expect(anew.spec.version).to.equal(1);
    expect(anew.spec.id).not.to.equal(spec.id);
  });

  it('are listed in pages', async () => {
    for (const name of ['e', 'b', 'a', 'd', 'c']) await api().registerImage(name);
    expect((await api().get('/functions')).json).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
    const pages: unknown[] = [];
    let next: string | undefined = '/functions?limit=2';
    while (next !== undefined) {
      const page = await api().get(next);
      pages.push(page.json);
      next = /^<(.*)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(pages).to.deep.equal([['a', 'b'], ['c', 'd'], ['e']]);
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=1e2']) {
      expect(errorCode(await api().get(`/functions?${query}`)), query).to.equal('INVALID_REQUEST');
    }
    expect(errorCode(await api().get('/functions?after=__proto__'))).to.equal('INVALID_NAME');
  });
});
