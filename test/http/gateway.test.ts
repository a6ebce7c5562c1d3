import { expect } from 'chai';
import { eventually } from '../../testkit/wait.js';
import { startedApi, type Api, type Reply } from './api.js';
import { basic, bearer, Person } from './person.js';

const PATHS = ['/functions/register', '/functions/deregister', '/functions/activate'];

const shown = ({ status, json }: Reply): unknown => [status, json];
const error = (message: string): object => ({ message, status: 'error' });
const success = (message: string): object => ({ message, status: 'success' });

function expectError(reply: Reply, status: number, what: string): void {
  expect(reply.status, `${what}: ${reply.text}`).to.equal(status);
  expect(reply.json, what).to.have.all.keys('message', 'status').and.to.include({ status: 'error' });
  expect(reply.json).to.have.property('message').that.is.a('string').and.not.empty;
}

/** Registers the user `ana`, with the function `reverse`. */
async function anaWithReverse(api: Api): Promise<Person> {
  const ana = await Person.register(api, 'ana');
  await ana.post('/functions/register', { functionName: 'reverse', dockerImage: 'example/reverse-string' });
  return ana;
}

describe('The gateway', () => {
  const api = startedApi();

  it('registers the user of the Basic credentials', async () => {
    const register = () => api().send('POST', '/register', undefined, basic('ana', 'secret'));
    expect(shown(await register())).to.deep.equal([200, success('Usuario registrado exitosamente')]);
    expect(shown(await register())).to.deep.equal([409, error('El usuario ya existe')]);
    expect((await api().send('GET', '/users/me', undefined, basic('ana', 'secret'))).status).to.equal(200);
    const loose = await api().send('POST', '/register?x=1', '{"any":"thing"}', basic('ben', 'x'));
    expect(loose.status).to.equal(200);
  });

  it('registers nobody without Basic credentials, or under a name that cannot be', async () => {
    for (const headers of [
      {},
      bearer('abc'),
      { Authorization: 'Basic !' },
      { Authorization: 'Basic YQ==' },
    ]) {
      const reply = await api().send('POST', '/register', undefined, headers);
      expectError(reply, 401, JSON.stringify(headers));
      expect(reply.headers.get('www-authenticate')).to.contain('Basic realm="panal"');
    }
    for (const [name, password] of [
      ['', 'x'],
      ['a\u0007', 'x'],
      ['x'.repeat(300), 'x'],
      ['ana', ''],
      ['ana', 'x'.repeat(2000)],
    ] as const) {
      expectError(await api().send('POST', '/register', undefined, basic(name, password)), 400, name);
    }
    expectError(await api().send('POST', '/register', undefined, basic('public', 'x')), 409, 'public');
  });

  it('registers a function once, as an image', async () => {
    const ana = await Person.register(api(), 'ana');
    const register = (): Promise<Reply> =>
      ana.post('/functions/register', { functionName: 'reverse', dockerImage: 'example/reverse', x: 1 });
    expect(shown(await register())).to.deep.equal([200, success('Función registrada exitosamente')]);
    expect(shown(await register())).to.deep.equal([409, error('la función ya está registrada')]);
    const detail = (await ana.get('/functions/reverse')).json;
    expect(detail).to.deep.include({ kind: 'image', image: 'example/reverse', versions: [1] });
    const ben = await Person.register(api(), 'ben');
    const bens = { functionName: 'reverse', dockerImage: 'example/ben' };
    expect((await ben.post('/functions/register', bens)).status).to.equal(200);
    const race = await Promise.all(
      [1, 2, 3].map(() => ben.post('/functions/register', { ...bens, functionName: 'raced' })),
    );
    expect(race.map(({ status }) => status).sort()).to.deep.equal([200, 409, 409]);
  });

  it('removes a function of this user, and of no other', async () => {
    const ana = await anaWithReverse(api());
    const ben = await Person.register(api(), 'ben');
    const body = { functionName: 'reverse', any: 'thing' };
    expect(shown(await ben.post('/functions/deregister', body))).to.deep.equal([
      404,
      error('función no encontrada'),
    ]);
    expect(shown(await ana.post('/functions/deregister', body))).to.deep.equal([
      200,
      success('Función eliminada exitosamente'),
    ]);
    expect((await ana.post('/functions/deregister', body)).status).to.equal(404);
  });

  it('calls a function with the parameter as it is, and gives its result', async () => {
    const ana = await anaWithReverse(api());
    const reply = ana.post('/functions/activate', { functionName: 'reverse', parameter: 'hello', more: [] });
    const job = await api().take();
    expect([job.input, Buffer.from(job.params).toString()]).to.deep.equal(['json', '"hello"']);
    await api().end(job, 'olleh\n');
    expect(shown(await reply)).to.deep.equal([200, { result: 'olleh\n', status: 'success' }]);
    expect((await reply).headers.get('x-call-num')).to.equal('1');
    const escaped = '{"parameter":"h\\u00e9llo\\/" , "functionName":"reverse"}';
    const asWritten = ana.send('POST', '/functions/activate', escaped);
    const second = await api().take();
    expect(Buffer.from(second.params).toString()).to.equal('"h\\u00e9llo\\/"');
    await api().end(second, '');
    expect((await asWritten).status).to.equal(200);
    const without = ana.post('/functions/activate', { functionName: 'reverse' });
    const bare = await api().take();
    expect(bare.input).to.equal('none');
    await api().end(bare, '');
    expect((await without).json).to.include({ result: '' });
  });

  it('says with its stderr that a function failed', async () => {
    const ana = await anaWithReverse(api());
    const activate = () => ana.post('/functions/activate', { functionName: 'reverse', parameter: 'x' });
    const failure = { code: 'FUNCTION_FAILED', message: 'exit code 1' } as const;
    let reply = activate();
    await api().end(await api().take(), '', { status: 'FAILED', exitCode: 1, error: failure }, 'no such ñ\n');
    expect(shown(await reply)).to.deep.equal([502, error('no such ñ\n')]);
    reply = activate();
    await api().end(await api().take(), '', { status: 'FAILED', exitCode: 1, error: failure });
    expect(shown(await reply)).to.deep.equal([502, error('exit code 1')]);
    reply = activate();
    const late = { code: 'TIMEOUT', message: 'over 1000 ms' } as const;
    await api().end(await api().take(), '', { status: 'TIMEOUT', error: late }, 'logs');
    expect(shown(await reply)).to.deep.equal([504, error('over 1000 ms')]);
  });

  it('answers at once where as many calls run as may', async () => {
    const ana = await anaWithReverse(api());
    const activate = () => ana.post('/functions/activate', { functionName: 'reverse', parameter: 'x' });
    const first = activate();
    const second = activate();
    const jobs = [await api().take(), await api().take()];
    const third = await activate();
    expectError(third, 429, 'busy');
    expect(third.headers.get('retry-after')).to.equal('1');
    for (const job of jobs) await api().end(job, 'done');
    expect([(await first).status, (await second).status]).to.deep.equal([200, 200]);
    // Calls that come by other ways count as well.
    for (let n = 0; n < 2; n++) {
      await ana.post('/invokeFunction', { funcName: 'reverse' });
      await api().take();
    }
    expectError(await activate(), 429, 'busy');
  });

  it('lets in no more calls than may run, also when they come all at once', async () => {
    const ana = await anaWithReverse(api());
    const statuses: number[] = [];
    const replies = [1, 2, 3, 4].map(async () => {
      const { status } = await ana.post('/functions/activate', { functionName: 'reverse' });
      statuses.push(status);
    });
    const jobs = [await api().take(), await api().take()];
    // Neither ends before the others were refused.
    await eventually('two are refused', () => statuses.length === 2);
    for (const job of jobs) await api().end(job, 'done');
    await Promise.all(replies);
    expect(statuses).to.deep.equal([429, 429, 200, 200]);
  });

  it('cancels a call whose client goes away', async () => {
    const ana = await anaWithReverse(api());
    const leaving = new AbortController();
    const gone = fetch(`http://127.0.0.1:${api().port}/functions/activate`, {
      method: 'POST',
      headers: ana.credentials,
      body: '{"functionName":"reverse"}',
      signal: leaving.signal,
    }).catch(() => undefined);
    const job = await api().take();
    leaving.abort();
    await gone;
    await eventually('the call is cancelled', () => api().cluster.cancelled.includes(job));
  });

  it('has its own shape for every error', async () => {
    const ana = await Person.register(api(), 'ana');
    for (const path of PATHS) {
      for (const headers of [{}, basic('ana', 'wrong'), bearer('abc'), { Authorization: 'Digest x' }]) {
        const reply = await api().send('POST', path, '{}', headers);
        expectError(reply, 401, path + JSON.stringify(headers));
        expect(reply.headers.get('www-authenticate')).to.contain('Bearer');
      }
      for (const body of ['', '{', '[]', 'null', '{}', '{"functionName":7}', '{"functionName":"../x"}']) {
        expectError(await ana.send('POST', path, body), 400, path + body);
      }
      expectError(await ana.send('POST', path, '{"__proto__":{}}'), 400, path);
      expectError(await ana.send('POST', path, 'x'.repeat(70_000)), 413, path);
      const unknown = { functionName: 'nope', dockerImage: 'Not An Image', parameter: { not: 'text' } };
      const reply = await ana.post(path, unknown);
      expectError(reply, path === '/functions/deregister' ? 404 : 400, path);
    }
    const nope = await ana.post('/functions/activate', { functionName: 'nope', parameter: 'x' });
    expect(shown(nope)).to.deep.equal([404, error('función no encontrada')]);
    api().cluster.engine = false;
    expectError(
      await ana.post('/functions/register', { functionName: 'a', dockerImage: 'example/a' }),
      422,
      'no engine',
    );
  });

  it('leaves room for functions of the same names as its routes', async () => {
    const ana = await Person.register(api(), 'ana');
    for (const name of ['register', 'activate']) {
      expect((await ana.registerImage(name)).status).to.equal(201);
      expect((await ana.get(`/functions/${name}`)).json).to.include({ functionName: name, version: 1 });
      const changed = await ana.send('PUT', `/functions/${name}`, '{"memoryMb":64}');
      expect(changed.json).to.include({ version: 2, memoryMb: 64 });
      expect((await ana.send('DELETE', `/functions/${name}`)).status).to.equal(204);
    }
  });
});

describe('The gateway, in time', () => {
  const api = startedApi({ activateMs: 50 });

  it('gives up a call that takes too long, and cancels it', async () => {
    const ana = await anaWithReverse(api());
    const reply = ana.post('/functions/activate', { functionName: 'reverse', parameter: 'x' });
    const job = await api().take();
    expectError(await reply, 504, 'too long');
    await eventually('the call is cancelled', () => api().cluster.cancelled.includes(job));
  });

  it('leaves a call that is to be kept', async () => {
    const ana = await anaWithReverse(api());
    const reply = ana.post('/functions/activate?onDisconnect=keep', { functionName: 'reverse' });
    const job = await api().take();
    expectError(await reply, 504, 'too long');
    await api().end(job, 'late');
    expect((await ana.get('/call/1')).json).to.include({ status: 'DONE', result: 'late' });
  });
});
