import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { basic } from '../http/person.js';
import { tarGz } from '../support/archives.js';
import { temporaryFolder } from '../support/folder.js';
import { withNginx } from '../support/groups.js';
import { LiveBroker } from '../support/live-broker.js';
import { freePorts } from '../support/ports.js';
import { Nginx } from './nginx.js';

const json = (value: unknown) => ({ method: 'POST', body: JSON.stringify(value) });

/** A service that is guarded by the gateway too; it notes what reaches it. */
async function guardedService(): Promise<{ server: Server; seen: IncomingMessage[]; address: string }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((incoming, response) => {
    seen.push(incoming);
    response.end('for users');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return { server, seen, address: `127.0.0.1:${port}` };
}

withNginx('The gateway of hub-deployment, with nginx', function () {
  this.timeout(60_000);
  this.slow(5000);
  const folder = temporaryFolder();
  let broker: LiveBroker;
  let nginx: Nginx;
  let service: Awaited<ReturnType<typeof guardedService>>;

  beforeEach(async () => {
    broker = await LiveBroker.start(folder(), {
      FAAS_TRUSTED_PROXIES: '127.0.0.1',
      FAAS_REGISTRATIONS: '30',
    });
    service = await guardedService();
    nginx = await Nginx.start(await freePorts(), new URL(broker.url).host, { '/reports/': service.address });
  });

  afterEach(async () => {
    await nginx.stop();
    service.server.close();
    await broker.stop();
  });

  const get = async (path: string, headers = {}): Promise<Response> =>
    await fetch(nginx.url + path, { headers });

  async function register(name: string, headers = {}): Promise<Response> {
    return await fetch(`${nginx.url}/register`, {
      method: 'POST',
      headers: { ...basic(name, 'secret'), ...headers },
    });
  }

  it('lets anyone register and log in, and only users do the rest', async () => {
    const user = { email: 'ana@example.org', password: 'secret' };
    expect((await fetch(`${nginx.url}/users`, json(user))).status).to.equal(201);
    const { token } = (await (await fetch(`${nginx.url}/users/token`, json(user))).json()) as {
      token: string;
    };
    expect((await register('ben')).status).to.equal(200);
    expect(await (await register('ben')).json()).to.deep.equal({
      message: 'El usuario ya existe',
      status: 'error',
    });
    for (const path of ['/functions', '/calls', '/workers', '/nowhere']) {
      const refused = await get(path);
      expect([path, refused.status]).to.deep.equal([path, 401]);
      expect(refused.headers.get('www-authenticate')).to.contain('Basic realm="panal"');
      expect(await refused.json()).to.have.nested.property('error.code', 'UNAUTHORIZED');
      expect((await get(path, basic('ben', 'wrong'))).status).to.equal(401);
    }
    expect(await (await get('/functions', basic('ben', 'secret'))).json()).to.deep.equal([]);
    expect(await (await get('/functions', { Authorization: `Bearer ${token}` })).json()).to.deep.equal([]);
    expect((await get('/healthz')).status).to.equal(200);
  });

  it('hides what is for operators', async () => {
    await register('ana');
    for (const path of ['/metrics', '/backup', '/_verify', '/_forbidden']) {
      expect([path, (await get(path, basic('ana', 'secret'))).status]).to.deep.equal([path, 404]);
    }
    expect((await fetch(`${broker.url}/metrics`)).status).to.equal(200);
  });

  it('tells other services who asks, whatever the client says of itself', async () => {
    await register('Zoë');
    const credentials = basic('Zoë', 'secret');
    const spoofed = { 'X-Faas-User': 'root', 'X-FAAS-USER': 'root' };
    expect(await (await get('/reports/1', { ...credentials, ...spoofed })).text()).to.equal('for users');
    expect(service.seen[0]?.headersDistinct['x-faas-user']).to.deep.equal(['Zo%C3%AB']);
    expect((await get('/reports/1', spoofed)).status).to.equal(401);
    expect(service.seen).to.have.length(1);
  });

  it('passes calls and bundles, and the answers as they come', async () => {
    await register('ana');
    await broker.worker();
    const form = new FormData();
    form.set('lifecycle', 'warm');
    form.set(
      'module',
      new Blob([new Uint8Array(tarGz([{ name: 'test.py', content: 'print(1)' }]))]),
      'm.tar.gz',
    );
    const headers = basic('ana', 'secret');
    const deployed = await fetch(`${nginx.url}/registerFunction/pythonruntime/echo`, {
      method: 'POST',
      headers,
      body: form,
    });
    expect(deployed.status).to.equal(201);
    const ran = await fetch(`${nginx.url}/run/echo`, { method: 'POST', headers, body: 'to the byte' });
    expect([ran.status, await ran.text(), ran.headers.get('x-call-num')]).to.deep.equal([
      200,
      'to the byte',
      '1',
    ]);
  });

  it('slows down who asks too often, and says for how long', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => register(`user-${n}`)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).to.have.length.within(1, 12);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get('retry-after')).to.equal('1');
    expect(await refused?.json()).to.have.nested.property('error.code', 'TOO_MANY_ATTEMPTS');
    expect(new Set(statuses)).to.deep.equal(new Set([200, 429]));
  });

  it('lets the broker tell clients apart, which cannot pretend to be others', async () => {
    await register('ana');
    const from = async (localAddress: string, user: string, forwarded: string): Promise<IncomingMessage> => {
      const headers = { ...basic(user, 'wrong'), 'X-Forwarded-For': forwarded };
      const asked = request(`${nginx.url}/functions`, { localAddress, headers, agent: false }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      return answer;
    };
    for (let n = 0; n < 10; n++) {
      const guess = await from('127.0.0.2', `user-${n}`, `192.0.2.${n}`);
      guess.resume();
      expect(guess.statusCode).to.equal(401);
    }
    // All came from one address, whatever they said of it: the eleventh is held back, and hears it as 429.
    const held = await from('127.0.0.2', 'ben', '198.51.100.7');
    expect([held.statusCode, held.headers['retry-after']]).to.deep.equal([429, '6']);
    expect(await text(held)).to.contain('TOO_MANY_ATTEMPTS');
    const other = await from('127.0.0.3', 'cleo', '127.0.0.2');
    other.resume();
    expect(other.statusCode).to.equal(401);
  });

  it('says that the broker is away when it is', async () => {
    await broker.stop();
    const away = await get('/functions', basic('ana', 'secret'));
    expect([500, 503]).to.include(away.status);
    expect((await get('/healthz')).status).to.equal(503);
  });
});
