import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { SignJWT } from 'jose';
import { allRoutes } from '../../broker/src/http/app.js';
import { processorMs } from '../support/processor-time.js';
import { errorCode, startedApi, TOKEN_SECRET, type Reply } from './api.js';
import { basic, bearer, Person } from './person.js';

const OPEN_ROUTES = [
  'GET /healthz',
  'GET /readyz',
  'GET /openapi.json',
  'GET /metrics',
  'POST /register',
  'POST /users',
  'POST /users/token',
];

/** Not a word more to one who is not let in than that, and how one is. */
function expectUnauthorized(reply: Reply, what: string): void {
  expect([reply.status, errorCode(reply)], `${what}: ${reply.text}`).to.deep.equal([401, 'UNAUTHORIZED']);
  expect(reply.headers.get('www-authenticate')).to.match(
    /^Basic realm="panal", charset="UTF-8", Bearer realm="panal"/,
  );
}

describe('Authentication', () => {
  const api = startedApi();

  it('without credentials is acting as public', async () => {
    await api().registerImage('dice');
    expect((await api().get('/functions')).json).to.deep.equal(['dice']);
    expect(await api().store.functions.listFunctions({ owner: 'public', limit: 9 })).to.deep.equal(['dice']);
  });

  it('by Basic and by Bearer is acting as that user, on every kind of route', async () => {
    const ana = await Person.register(api(), 'Añá@example.org');
    const { token } = (await api().post('/users/token', { email: ana.name, password: 'secret' })).json as {
      token: string;
    };
    const withToken = new Person(api(), ana.name, bearer(token));
    await ana.registerImage('dice');
    for (const each of [ana, withToken]) {
      expect((await each.get('/functions')).json).to.deep.equal(['dice']);
      expect((await each.get('/users/me')).json).to.include({ email: 'Añá@example.org' });
    }
    expect((await api().get('/functions')).json).to.deep.equal([]);
    const odd = await api().send('GET', '/functions', undefined, {
      Authorization: ana.credentials.Authorization.replace('Basic', 'bASIC  '),
    });
    expect(odd.json).to.deep.equal(['dice']);
  });

  it('with a wrong name and with a wrong password gets the same answer', async () => {
    await Person.register(api(), 'ana');
    const replies = await Promise.all(
      [basic('ana', 'wrong'), basic('nobody', 'secret'), basic('public', ''), basic('', '')].map((headers) =>
        api().send('GET', '/functions', undefined, headers),
      ),
    );
    for (const reply of replies) expectUnauthorized(reply, 'wrong');
    expect(new Set(replies.map((reply) => reply.text))).to.have.property('size', 1);
  });

  it('with a malformed header is refused with what is wrong', async () => {
    for (const [authorization, why] of [
      ['Basic', 'base64'],
      ['Basic ', 'base64'],
      ['Basic %%%', 'base64'],
      ['Basic YQ', 'base64'],
      ['Basic YTpi YTpi', 'base64'],
      [`Basic ${Buffer.from('no colon').toString('base64')}`, 'colon'],
      [`Basic ${Buffer.from([0x61, 0x3a, 0xff]).toString('base64')}`, 'UTF-8'],
      ['Bearer', 'malformed'],
      ['Bearer a b', 'malformed'],
      ['Bearer {"alg":"none"}', 'malformed'],
      ['Digest username="ana"', 'Basic or Bearer'],
      ['ana:secret', 'Basic or Bearer'],
      ['', 'Basic or Bearer'],
    ] as const) {
      const reply = await api().send('GET', '/functions', undefined, { Authorization: authorization });
      expectUnauthorized(reply, authorization);
      expect(reply.text).to.contain(why);
    }
  });

  it('with odd names and passwords is refused, at no more cost than with wrong ones', async () => {
    await Person.register(api(), 'ana');
    const refusals = (credentials: readonly (readonly [name: string, password: string])[]): Promise<number> =>
      processorMs(async () => {
        for (const [name, password] of credentials) {
          expectUnauthorized(await api().send('GET', '/calls', undefined, basic(name, password)), name);
        }
      }, 1);
    const wrong = await refusals(['1', '2', '3', '4', '5'].map((password) => ['ana', password]));
    const odd = await refusals([
      ['ana\n', 'secret'],
      ['ana\0', 'secret'],
      ['x'.repeat(5000), 'secret'],
      ['ana', 'x'.repeat(5000)],
      ['ana', ''],
    ]);
    expect(odd / wrong).to.be.below(2);
  });

  it('with several headers is refused', async () => {
    await Person.register(api(), 'ana');
    const header = `Authorization: ${basic('ana', 'secret').Authorization}\r\n`;
    const socket = connect(api().port, '127.0.0.1');
    socket.end(`GET /functions HTTP/1.1\r\nHost: x\r\n${header}${header}Connection: close\r\n\r\n`);
    expect(await text(socket)).to.match(/^HTTP\/1.1 400 [^]*several Authorization headers/);
  });

  it('with a forged or expired token is refused', async () => {
    await Person.register(api(), 'ana');
    const { token } = await api().users.issueToken('ana', 'secret', '::1');
    const [, payload = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, string>;
    const sign = (change: object, secret = TOKEN_SECRET, alg = 'HS256'): Promise<string> =>
      new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg }).sign(Buffer.from(secret));
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const forged of [
      `${none}.${payload}.`,
      await sign({}, 'x'.repeat(64)),
      await sign({}, TOKEN_SECRET.repeat(2), 'HS512'),
      await sign({ jti: 'another' }),
      await sign({ sub: 'nobody' }),
      await sign({ exp: 1 }),
    ]) {
      const reply = await api().send('GET', '/functions', undefined, bearer(forged));
      expectUnauthorized(reply, forged);
      expect(reply.headers.get('www-authenticate')).to.contain('error="invalid_token"');
    }
    expect((await api().send('GET', '/functions', undefined, bearer(token))).status).to.equal(200);
    api().now += 3_600_000;
    expectUnauthorized(await api().send('GET', '/functions', undefined, bearer(token)), 'expired');
  });

  it('that fails too often is held back for a while', async () => {
    await Person.register(api(), 'ana');
    for (let n = 0; n < 10; n++) {
      expectUnauthorized(
        await api().send('GET', '/functions', undefined, basic('ana', `wrong ${n}`)),
        'wrong',
      );
    }
    const reply = await api().send('GET', '/functions', undefined, basic('ana', 'secret'));
    expect([reply.status, errorCode(reply)]).to.deep.equal([429, 'TOO_MANY_ATTEMPTS']);
    expect(Number(reply.headers.get('retry-after'))).to.be.within(1, 6);
    expect((await api().get('/functions')).status).to.equal(200);
  });

  it('is needed to be verified for other services', async () => {
    expectUnauthorized(await api().get('/auth/verify'), 'none');
    expectUnauthorized(await api().send('GET', '/auth/verify', undefined, basic('ana', 'x')), 'wrong');
    for (const [name, shown] of [
      ['ana+1@example.org', 'ana+1@example.org'],
      ['Zoë 100%', 'Zo%C3%AB%20100%25'],
      ['🐝\u3042', '%F0%9F%90%9D%E3%81%82'],
    ] as const) {
      const reply = await (await Person.register(api(), name)).get('/auth/verify');
      expect([reply.status, reply.headers.get('x-faas-user')]).to.deep.equal([200, shown]);
      expect(decodeURIComponent(shown)).to.equal(name);
      expect(reply.json).to.deep.equal({ user: name });
    }
  });
});

describe('Authentication that is required', () => {
  const api = startedApi({ auth: 'required' });

  it('lets nobody in without credentials, but where one needs none', async () => {
    const { users } = api();
    const routes = allRoutes(api().services);
    for (const { method, path } of routes) {
      const reply = await api().send(method, path.replace(/:\w+/g, '1'), method === 'GET' ? undefined : '{}');
      const key = `${method} ${path}`;
      if (OPEN_ROUTES.includes(key)) {
        const needed = key === 'POST /register' ? 401 : undefined;
        if (needed === undefined) expect([200, 400], key).to.include(reply.status);
        else expect(reply.status).to.equal(needed);
      } else {
        expect(reply.status, key).to.equal(401);
        expect(reply.headers.get('www-authenticate'), key).to.contain('Basic').and.to.contain('Bearer');
      }
    }
    expect(routes.map(({ method, path }) => `${method} ${path}`)).to.include.members(OPEN_ROUTES);
    await users.register('ana', 'secret');
    expect((await api().send('GET', '/functions', undefined, basic('ana', 'secret'))).status).to.equal(200);
  });

  it('is not asked for by what does not exist', async () => {
    expect((await api().get('/nope')).status).to.equal(404);
  });
});

describe('Behind a proxy that is trusted', () => {
  const api = startedApi({ proxies: [{ address: '127.0.0.0', prefix: 8, family: 'ipv4' }] });

  it('those who guess are told apart by the forwarded address', async () => {
    await Person.register(api(), 'ana');
    const from = (address: string, name: string): Promise<Reply> =>
      api().send('GET', '/functions', undefined, { ...basic(name, 'x'), 'X-Forwarded-For': address });
    for (let n = 0; n < 10; n++) expect((await from('192.0.2.1', `user ${n}`)).status).to.equal(401);
    expect((await from('192.0.2.1', 'ana')).status).to.equal(429);
    // What the client itself says of where it came from counts for nothing.
    expect((await from('192.0.2.2, 192.0.2.1', 'ana')).status).to.equal(429);
    expect((await from('192.0.2.2', 'ana')).status).to.equal(401);
  });

  it('those who guess at a user, from any number of addresses, do not lock it out', async () => {
    await Person.register(api(), 'ana');
    const from = (address: string, password: string): Promise<Reply> =>
      api().send('GET', '/users/me', undefined, { ...basic('ana', password), 'X-Forwarded-For': address });
    for (let n = 0; n < 10; n++) expect((await from('192.0.2.1', `wrong ${n}`)).status).to.equal(401);
    expect((await from('192.0.2.1', 'secret')).status).to.equal(429);
    expect((await from('192.0.2.2', 'secret')).status).to.equal(200);
    for (let n = 0; n < 22; n++) expect((await from(`198.51.100.${n}`, 'wrong')).status).to.equal(401);
    expect((await from('198.51.100.1', 'secret')).status).to.equal(429);
    expect((await from('192.0.2.3', 'secret')).status).to.equal(200);
    expect((await from('192.0.2.2', 'secret')).status).to.equal(200);
  });

  it('a token holder guesses the password no faster', async () => {
    await Person.register(api(), 'ana');
    const login = JSON.stringify({ email: 'ana', password: 'secret' });
    const { token } = (await api().send('POST', '/users/token', login)).json as { token: string };
    const change = (address: string, password: string): Promise<Reply> =>
      api().send('PUT', '/users/me/password', JSON.stringify({ password, newPassword: 'x' }), {
        ...bearer(token),
        'X-Forwarded-For': address,
      });
    for (let n = 0; n < 10; n++) expect((await change('192.0.2.1', `wrong ${n}`)).status).to.equal(401);
    const held = await change('192.0.2.1', 'secret');
    expect([held.status, errorCode(held)]).to.deep.equal([429, 'TOO_MANY_ATTEMPTS']);
    expect((await change('192.0.2.2', 'secret')).status).to.equal(200);
    // Changed, the password revokes the token that changed it.
    expect((await change('192.0.2.2', 'x')).status).to.equal(401);
  });
});
