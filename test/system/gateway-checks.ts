import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { basic } from '../http/person.js';
import { eventually } from '../../testkit/wait.js';

/** A gateway of hub-deployment before a broker. */
export interface Gateway {
  url: string;
  stopBroker(): Promise<void>;
  startBroker(): Promise<void>;
  /** The broker serves the same under its name, but at another address. */
  moveBroker(): Promise<void>;
}

/** What every gateway has to do, whatever it is made of. Each check wants a gateway that has just been started. */
export interface GatewayCheck {
  title: string;
  run: (gateway: Gateway) => Promise<void>;
}

interface Reply {
  status: number | undefined;
  headers: IncomingMessage['headers'];
  text: string;
}

interface Sent {
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Without saying how long it is. */
  chunked?: boolean;
}

/** Sends a request whose path is not changed on its way, as `fetch` would. */
async function send({ url }: Gateway, method: string, path: string, sent: Sent = {}): Promise<Reply> {
  const { headers = {}, body = '', chunked = false } = sent;
  const { hostname: host, port } = new URL(url);
  const length = chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': Buffer.byteLength(body) };
  const outgoing = request({ host, port, method, path, agent: false, headers: { ...length, ...headers } });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  // A gateway may answer, and close, before it has read a body that it refuses.
  outgoing.on('error', () => undefined);
  Readable.from(typeof body === 'string' ? [body] : [body]).pipe(outgoing);
  const [answer] = await answered;
  return { status: answer.statusCode, headers: answer.headers, text: await text(answer).catch(() => '') };
}

const CREDENTIALS = basic('ana', 'secret');

async function register(gateway: Gateway, headers = CREDENTIALS): Promise<Reply> {
  return await send(gateway, 'POST', '/register', { headers });
}

/** A user that may be there from a check before. */
async function ana(gateway: Gateway): Promise<typeof CREDENTIALS> {
  expect((await register(gateway)).status).to.be.oneOf([200, 409]);
  return CREDENTIALS;
}

function expectError({ status, text: body, headers }: Reply, wanted: number, code: string, what = ''): void {
  expect([status, headers['content-type']?.split(';')[0]], `${what} ${body}`).to.deep.equal([
    wanted,
    'application/json',
  ]);
  expect(JSON.parse(body), what).to.have.nested.property('error.code', code);
}

/** On the routes of the earlier design. */
function expectOwnShape({ status, text: body }: Reply, wanted: number, what = ''): void {
  expect(status, `${what} ${body}`).to.equal(wanted);
  const parsed = JSON.parse(body) as object;
  expect(parsed, what).to.have.all.keys('message', 'status').and.include({ status: 'error' });
}

const expectRetryAfter = ({ headers }: Reply): void => {
  expect(Number(headers['retry-after'])).to.be.within(1, 60);
};

const OWN_ROUTES = ['/functions/register', '/functions/deregister', '/functions/activate'];
const MiB = 1024 * 1024;

export const GATEWAY_CHECKS: readonly GatewayCheck[] = [
  {
    title: 'lets anyone register and log in, and only users do the rest',
    async run(gateway) {
      const user = JSON.stringify({ email: `${Date.now()}@example.org`, password: 'secret' });
      expect((await send(gateway, 'POST', '/users', { body: user })).status).to.equal(201);
      const issued = await send(gateway, 'POST', '/users/token', { body: user });
      const { token } = JSON.parse(issued.text) as { token: string };
      await ana(gateway);
      expectOwnShape(await register(gateway), 409);
      for (const path of ['/functions', '/calls', '/workers', '/nowhere', '/healthz/', '/Healthz']) {
        const refused = await send(gateway, 'GET', path);
        expectError(refused, 401, 'UNAUTHORIZED', path);
        expect(refused.headers['www-authenticate']).to.match(/^Basic realm="panal"/);
        const wrong = await send(gateway, 'GET', path, { headers: basic('nobody', 'wrong') });
        expect([path, wrong.status]).to.deep.equal([path, 401]);
      }
      for (const headers of [CREDENTIALS, { Authorization: `Bearer ${token}` }]) {
        expect((await send(gateway, 'GET', '/functions', { headers })).text).to.equal('[]');
      }
    },
  },
  {
    title: 'shows anyone whether the broker is alive and ready, by HEAD too',
    async run(gateway) {
      for (const method of ['GET', 'HEAD']) {
        expect((await send(gateway, method, '/healthz')).status).to.equal(200);
        expect((await send(gateway, method, '/readyz')).status).to.be.oneOf([200, 503]);
        expect((await send(gateway, method, '/openapi.json')).status).to.equal(200);
      }
    },
  },
  {
    title: 'hides what is for operators, however it is written',
    async run(gateway) {
      const headers = await ana(gateway);
      for (const name of ['metrics', 'backup']) {
        const first = (name.codePointAt(0) ?? 0).toString(16);
        for (const path of [
          `/${name}`,
          `/${name}/`,
          `//${name}`,
          `/%${first}${name.slice(1)}`,
          `/./${name}`,
          `/x/../${name}`,
          `/x/%2e%2e/${name}`,
          `/${name}%2f`,
          `/%2f${name}`,
          `/${name};x`,
          `/${name}/.`,
          `/${name.toUpperCase()}`,
          `/${name}?x=1`,
        ]) {
          expectError(await send(gateway, 'GET', path, { headers }), 404, 'NOT_FOUND', path);
        }
        for (const path of [`/${name}#x`, `/\\${name}`, `http://x\\${name}`]) {
          const reply = await send(gateway, 'GET', path, { headers });
          expect(reply.status, path).to.be.within(400, 499);
        }
      }
    },
  },
  {
    title: 'has wrong and missing credentials refused in the shape of each route',
    async run(gateway) {
      for (const path of OWN_ROUTES) {
        const body = JSON.stringify({ functionName: 'dice' });
        expectOwnShape(await send(gateway, 'POST', path, { body }), 401, path);
        expectOwnShape(
          await send(gateway, 'POST', path, { body, headers: basic('nobody', 'wrong') }),
          401,
          path,
        );
      }
      const headers = await ana(gateway);
      const body = JSON.stringify({ functionName: 'none' });
      expectOwnShape(await send(gateway, 'POST', '/functions/activate', { headers, body }), 404);
    },
  },
  {
    title: 'limits registrations apart from other requests, and says when to try again',
    async run(gateway) {
      const quick = await Promise.all(Array.from({ length: 40 }, () => send(gateway, 'GET', '/healthz')));
      expect(new Set(quick.map(({ status }) => status))).to.deep.equal(new Set([200]));
      const tries = await Promise.all(
        Array.from({ length: 30 }, () => register(gateway, { Authorization: '' })),
      );
      const statuses = tries.map(({ status }) => status);
      expect(statuses.filter((status) => status !== 429)).to.have.length.within(10, 13);
      const refused = tries.find(({ status }) => status === 429);
      if (refused === undefined) throw new Error('nobody was refused');
      expectOwnShape(refused, 429);
      expectRetryAfter(refused);
      const users = await send(gateway, 'POST', '/users', { body: '{}' });
      expectError(users, 429, 'TOO_MANY_ATTEMPTS');
      expectRetryAfter(users);
      expect((await send(gateway, 'GET', '/healthz')).status).to.equal(200);
    },
  },
  {
    title: 'lets nobody guess passwords by saying that it comes from elsewhere',
    async run(gateway) {
      for (const [path, check] of [
        ['/functions', (reply: Reply) => expectError(reply, 429, 'TOO_MANY_ATTEMPTS')],
        ['/functions/register', (reply: Reply) => expectOwnShape(reply, 429)],
      ] as const) {
        let last: Reply | undefined;
        for (let n = 0; n < 45; n++) {
          const elsewhere = { 'X-Forwarded-For': `192.0.2.${n}`, 'X-Real-IP': `192.0.2.${n}` };
          const headers = { ...basic(`user-${n}`, 'wrong'), ...elsewhere, Forwarded: `for=192.0.2.${n}` };
          const method = path === '/functions' ? 'GET' : 'POST';
          last = await send(gateway, method, path, { headers, body: method === 'GET' ? '' : '{}' });
        }
        if (last === undefined) throw new Error('nobody asked');
        check(last);
        expectRetryAfter(last);
      }
    },
  },
  {
    title: 'takes no larger bodies than a route needs',
    async run(gateway) {
      const large = new Uint8Array(64 * 1024);
      for (const chunked of [false, true]) {
        for (const path of ['/users/token', '/users', '/healthz', '/readyz', '/openapi.json']) {
          const refused = await send(gateway, 'POST', path, { body: large, chunked });
          expectError(refused, 413, 'BODY_TOO_LARGE', path);
        }
        for (const path of ['/register', '/functions/register', '/functions/deregister']) {
          expectOwnShape(await send(gateway, 'POST', path, { body: large, chunked }), 413, path);
        }
        const body = new Uint8Array(MiB + 1);
        expectOwnShape(await send(gateway, 'POST', '/functions/activate', { body, chunked }), 413);
        const headers = await ana(gateway);
        const refused = await send(gateway, 'POST', '/run/none', { headers, body, chunked });
        expectError(refused, 413, 'BODY_TOO_LARGE');
        const fitting = await send(gateway, 'POST', '/run/none', {
          headers,
          body: body.subarray(1),
          chunked,
        });
        expectError(fitting, 404, 'FUNCTION_NOT_FOUND');
        // A bundle may be larger; the broker says that this is none.
        const upload = {
          headers: { ...headers, 'Content-Type': 'multipart/form-data; boundary=b' },
          chunked,
        };
        const form = Buffer.concat([
          Buffer.from('--b\r\nContent-Disposition: form-data; name="module"; filename="m"\r\n\r\n'),
          body,
          Buffer.from('\r\n--b--\r\n'),
        ]);
        const taken = await send(gateway, 'POST', '/registerFunction/pythonruntime/f', {
          ...upload,
          body: form,
        });
        expect(taken.status, taken.text).to.equal(415);
        const huge = await send(gateway, 'POST', '/registerFunction/pythonruntime/f', {
          headers: { ...upload.headers, 'Content-Length': String(66 * MiB) },
        });
        expectError(huge, 413, 'BODY_TOO_LARGE');
      }
    },
  },
  {
    title: 'says as JSON that the broker is away, and goes on when it is back',
    async run(gateway) {
      const headers = await ana(gateway);
      await gateway.stopBroker();
      for (const path of ['/functions', '/healthz', '/run/x']) {
        const away = await send(gateway, 'GET', path, { headers });
        expectError(away, 503, 'SHUTTING_DOWN', path);
        expectRetryAfter(away);
      }
      for (const path of [...OWN_ROUTES, '/register']) {
        const away = await send(gateway, 'POST', path, { headers, body: '{}' });
        expectOwnShape(away, 503, path);
        expectRetryAfter(away);
      }
      await gateway.startBroker();
      await eventually(
        'the broker is found again',
        async () => (await send(gateway, 'GET', '/functions', { headers })).status === 200,
        30_000,
      );
    },
  },
  {
    title: 'follows a broker to another address',
    async run(gateway) {
      const headers = await ana(gateway);
      expect((await send(gateway, 'GET', '/functions', { headers })).status).to.equal(200);
      await gateway.moveBroker();
      for (const path of ['/healthz', '/functions']) {
        await eventually(
          `${path} is answered`,
          async () => (await send(gateway, 'GET', path, { headers })).status === 200,
          30_000,
        );
      }
    },
  },
];
