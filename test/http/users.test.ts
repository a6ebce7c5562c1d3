import { expect } from 'chai';
import { tarGz } from '../../testkit/archives.js';
import { eventually } from '../../testkit/wait.js';
import { errorCode, startedApi } from './api.js';
import { basic, bearer, Person } from './person.js';

const module = tarGz([{ name: 'test.py', content: 'print(1)' }]);

describe('Users over HTTP', () => {
  const api = startedApi();
  const credentials = { email: 'ana@example.org', password: 'secret' };

  it('are registered once, and their passwords never shown', async () => {
    const reply = await api().post('/users', credentials);
    expect(reply.status).to.equal(201);
    expect(reply.json).to.deep.equal({
      email: 'ana@example.org',
      createdAt: new Date(api().now).toISOString(),
    });
    const again = await api().post('/users', { ...credentials, password: 'other' });
    expect([again.status, errorCode(again)]).to.deep.equal([409, 'ALREADY_EXISTS']);
    const stored = JSON.stringify(await api().store.users.getUser('ana@example.org'));
    expect(stored).not.to.contain('secret');
    expect(JSON.stringify(api().logged)).not.to.contain('secret');
  });

  it('are refused with anything odd, and nothing is kept', async () => {
    for (const body of [
      {},
      [],
      null,
      { email: 'ana@example.org' },
      { password: 'secret' },
      { ...credentials, admin: true },
      { ...credentials, email: ['ana@example.org'] },
      { ...credentials, password: 7 },
      { ...credentials, email: '' },
      { ...credentials, email: 'ana' },
      { ...credentials, email: 'a b@example.org' },
      { ...credentials, email: 'ana:x@example.org' },
      { ...credentials, email: 'ana@@example.org' },
      { ...credentials, email: `${'x'.repeat(250)}@example.org` },
      { ...credentials, email: 'an\u0000a@example.org' },
      { ...credentials, email: 'ana\u202e@example.org' },
      { ...credentials, email: '\ud800@example.org' },
      { ...credentials, password: '' },
      { ...credentials, password: 'x'.repeat(1025) },
      { ...credentials, password: '\udc00' },
    ]) {
      const reply = await api().post('/users', body);
      const shown = JSON.stringify(body);
      expect([shown, reply.status, errorCode(reply)]).to.deep.equal([shown, 400, 'INVALID_REQUEST']);
    }
    const poisoned = await api().send('POST', '/users', '{"__proto__":{"email":"a@b"},"password":"x"}');
    expect(poisoned.status).to.equal(400);
    const huge = await api().post('/users', { ...credentials, password: 'x'.repeat(70_000) });
    expect([huge.status, errorCode(huge)]).to.deep.equal([413, 'BODY_TOO_LARGE']);
    const ana = await api().post('/users', credentials);
    expect(ana.status).to.equal(201);
  });

  it('get a token, the same one while it is valid', async () => {
    await api().post('/users', credentials);
    const first = await api().post('/users/token', credentials);
    expect(first.status).to.equal(200);
    expect(first.json).to.have.all.keys('token', 'expiresAt');
    expect(first.json).to.include({ expiresAt: expiry(api().now) });
    expect((await api().post('/users/token', credentials)).json).to.deep.equal(first.json);
    // An old token that a client still sends does no harm.
    const stale = await api().post('/users/token', credentials, bearer('old'));
    expect(stale.json).to.deep.equal(first.json);
    for (const wrong of [
      { ...credentials, password: 'x' },
      { ...credentials, email: 'eve' },
    ]) {
      const reply = await api().post('/users/token', wrong);
      expect([reply.status, errorCode(reply)]).to.deep.equal([401, 'UNAUTHORIZED']);
      expect(reply.headers.get('www-authenticate')).to.contain('Basic');
    }
  });

  it('that nobody is are told to log in', async () => {
    for (const method of ['GET', 'DELETE']) {
      const reply = await api().send(method, '/users/me');
      expect([reply.status, errorCode(reply)]).to.deep.equal([401, 'UNAUTHORIZED']);
    }
  });

  it('change their password, and revoke their tokens', async () => {
    const ana = await Person.register(api(), 'ana');
    const token = async (password: string): Promise<string> => {
      const reply = await api().post('/users/token', { email: 'ana', password });
      return (reply.json as { token: string }).token;
    };
    const first = bearer(await token('secret'));
    const put = (body: unknown, headers: object) =>
      api().send('PUT', '/users/me/password', JSON.stringify(body), headers);
    const statusAs = async (headers: object): Promise<number> =>
      (await api().send('GET', '/users/me', undefined, headers)).status;

    for (const body of [
      {},
      { password: 'secret' },
      { newPassword: 'y' },
      { password: 7, newPassword: 'y' },
    ]) {
      expect((await put(body, ana.credentials)).status).to.equal(400);
    }
    const wrong = await put({ password: 'wrong', newPassword: 'better' }, first);
    expect([wrong.status, errorCode(wrong)]).to.deep.equal([401, 'UNAUTHORIZED']);
    expect((await put({ password: 'secret', newPassword: 'better' }, {})).status).to.equal(401);
    const changed = await put({ password: 'secret', newPassword: 'better' }, first);
    expect([changed.status, changed.json]).to.deep.equal([200, { changed: true }]);
    expect(await statusAs(first)).to.equal(401);
    expect(await statusAs(basic('ana', 'secret'))).to.equal(401);
    expect(await statusAs(basic('ana', 'better'))).to.equal(200);

    const second = bearer(await token('better'));
    const revoked = await api().send('DELETE', '/users/me/tokens', undefined, second);
    expect([revoked.status, revoked.json]).to.deep.equal([200, { revoked: true }]);
    expect(await statusAs(second)).to.equal(401);
    expect(await statusAs(basic('ana', 'better'))).to.equal(200);
  });

  it('are deleted with functions, runtimes, calls and code, and their calls are stopped', async () => {
    const ana = await Person.register(api(), 'ana');
    const ben = await Person.register(api(), 'ben');
    await ana.post('/registerRuntime', { image: 'python', path: '/ws', run: 'x' });
    await ana.upload('dice', module);
    await ana.upload('dice', tarGz([{ name: 'test.py', content: 'print(2)' }]));
    await ben.upload('dice', module);
    await ana.registerImage('slow');
    const { token } = await api().users.issueToken('ana', 'secret', '::1');
    const ended = await ana.post('/invokeFunction', { funcName: 'dice' });
    await api().end(await api().take(), 'done');
    expect(ended.status).to.equal(202);
    const waiting = ana.send('POST', '/run/slow', 'x').catch(() => undefined);
    const running = await api().take();
    await ana.post('/invokeFunction', { funcName: 'slow' });
    const bens = await ben.post('/invokeFunction', { funcName: 'dice' });
    await eventually('all are queued', () => api().cluster.jobs.length === 2);
    expect((await api().storedBundles()).length).to.equal(2);

    const reply = await ana.send('DELETE', '/users/me');
    expect([reply.status, reply.json]).to.deep.equal([200, { deleted: true }]);
    await waiting;
    expect(new Set(api().cluster.cancelled)).to.deep.equal(new Set([running]));
    expect(api().cluster.jobs.map(({ spec }) => spec.owner)).to.deep.equal(['ben']);
    expect(api().cluster.retired).to.have.length(3);
    expect(api().calls.unsettled).to.equal(1);
    // What its worker still says changes nothing.
    await api().end(running, 'late');

    for (const credential of [basic('ana', 'secret'), bearer(token)]) {
      expect((await api().send('GET', '/functions', undefined, credential)).status).to.equal(401);
    }
    const again = await Person.register(api(), 'ana');
    expect((await again.get('/functions')).json).to.deep.equal([]);
    expect((await again.get('/runtimes')).json).to.deep.equal(['pythonruntime']);
    expect((await again.get('/calls')).json).to.deep.equal({});
    expect((await api().send('GET', '/functions', undefined, bearer(token))).status).to.equal(401);
    expect((await ben.get('/functions')).json).to.deep.equal(['dice']);
    expect((await ben.get(bens.headers.get('location') ?? '')).json).to.include({ status: 'PENDING' });
    expect(await api().storedBundles()).to.have.length(1);
  });

  it('who are deleted twice at once are deleted once', async () => {
    const ana = await Person.register(api(), 'ana');
    await ana.get('/functions');
    const statuses = await Promise.all(
      [1, 2, 3].map(() => ana.send('DELETE', '/users/me').then(({ status }) => status)),
    );
    expect(statuses).to.include(200);
    for (const status of statuses) expect([200, 401]).to.include(status);
    expect(await api().store.users.getUser('ana')).to.equal(undefined);
  });

  it('whose upload is under way when they are deleted leave nothing to who takes the name', async () => {
    const ana = await Person.register(api(), 'ana');
    let more: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (more = controller) });
    const upload = ana
      .send('POST', '/registerFunction/pythonruntime/trap', body, {
        'Content-Type': 'multipart/form-data; boundary=b',
      })
      .catch(() => undefined);
    const head = '--b\r\nContent-Disposition: form-data; name="module"; filename="m"\r\n\r\n';
    more?.enqueue(Buffer.from(head));
    more?.enqueue(module);
    await eventually('the upload has begun', async () => (await api().uploads()).length === 1);
    expect((await ana.send('DELETE', '/users/me')).status).to.equal(200);
    expect(await upload).to.equal(undefined);
    const again = await Person.register(api(), 'ana');
    expect((await again.get('/functions')).json).to.deep.equal([]);
    expect(await api().uploads()).to.deep.equal([]);
  });
});

describe('Whoever registers users without end', () => {
  const proxies = [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' as const }];
  const api = startedApi({ registrations: 3, proxies });
  const from = (address: string) => ({ 'X-Forwarded-For': address });

  it('is held back by address on every route that registers, whether a name is free or not', async () => {
    const here = from('192.0.2.1');
    const user = (email: string) => api().post('/users', { email, password: 'x' }, here);
    expect((await user('a@example.org')).status).to.equal(201);
    expect((await user('a@example.org')).status).to.equal(409);
    const gateway = (name: string, headers = here) =>
      api().send('POST', '/register', undefined, { ...basic(name, 'x'), ...headers });
    expect((await gateway('b')).status).to.equal(200);

    const refused = await user('c@example.org');
    expect([refused.status, errorCode(refused)]).to.deep.equal([429, 'TOO_MANY_ATTEMPTS']);
    expect(Number(refused.headers.get('retry-after'))).to.be.within(1, 1200);
    const bare = await gateway('c');
    expect([bare.status, (bare.json as { status: string }).status]).to.deep.equal([429, 'error']);
    expect(bare.headers.get('retry-after')).not.to.equal(null);
    expect(await api().store.users.getUser('c@example.org')).to.equal(undefined);

    expect((await gateway('c', from('192.0.2.2'))).status).to.equal(200);
    // Who is registered goes on.
    expect(
      (await api().send('GET', '/users/me', undefined, { ...basic('b', 'x'), ...here })).status,
    ).to.equal(200);
  });
});

const expiry = (now: number): string => new Date((Math.floor(now / 1000) + 3600) * 1000).toISOString();
