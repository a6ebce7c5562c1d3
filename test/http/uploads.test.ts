import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { functionSettingsSchema, PanalError } from '@panal/protocol';
import { tarGz, zip } from '../../testkit/archives.js';
import { eventually } from '../../testkit/wait.js';
import { errorCode, startedApi, type Reply } from './api.js';

const module = tarGz([{ name: 'test.py', content: 'print(1)' }]);
const PATH = '/registerFunction/pythonruntime/dice';

describe('an upload under way', () => {
  const api = startedApi({ memory: { bodies: 400_000 } });
  const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n`;
  const field = '--b\r\nContent-Disposition: form-data; name="env"\r\n\r\n';
  const file = '--b\r\nContent-Disposition: form-data; name="module"; filename="a"\r\n\r\n';
  const held = (): number => api().services.memory.bodies.bytes;
  let sockets: Socket[];
  beforeEach(() => (sockets = []));
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
  });

  function send(begin: string, length = begin.length + 9): Socket {
    const socket = connect(api().port, '127.0.0.1');
    sockets.push(socket);
    socket.write(`${head}Content-Length: ${length}\r\n\r\n${begin}`);
    return socket;
  }

  it('counts with what of it is in memory: its form does, its file does not', async () => {
    send(file + 'y'.repeat(120_000), 125_000);
    const size = async (name: string): Promise<number> =>
      (await stat(join(api().services.uploadFolder, name))).size;
    await eventually('the file is there', async () => {
      const sizes = await Promise.all((await api().uploads()).map(size));
      return sizes.some((each) => each > 100_000) && held() < 20_000;
    });
    const form = `${field}${'x'.repeat(45_000)}\r\n`;
    const first = send(form + form);
    await eventually('a form is there', () => held() > 90_000);
    send(form + form);
    await eventually('another form is there', () => held() > 180_000);
    send(form, 150_000);
    await eventually('the form that has come for longest is given up', () => held() < 150_000);
    first.write('--b--\r\n\r\n');
    const [answer] = (await once(first, 'data')) as [Buffer];
    expect(answer.toString())
      .to.match(/^HTTP\/1.1 429 /)
      .and.to.contain('FAAS_BODIES_MB');
  });
});

describe('uploaded functions', () => {
  const api = startedApi();

  async function expectRefused(reply: Reply, status: number, code: string): Promise<void> {
    expect([reply.status, errorCode(reply)], reply.text).to.deep.equal([status, code]);
    expect((await api().get('/functions')).json).to.deep.equal([]);
    expect(await api().storedBundles()).to.deep.equal([]);
    expect(await api().uploads()).to.deep.equal([]);
  }

  function formOf(...fields: [name: string, value: string | Blob][]): FormData {
    const form = new FormData();
    for (const [name, value] of fields) form.append(name, value);
    return form;
  }

  it('are refused past so many at once of an owner, and taken when others have ended', async () => {
    const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n`;
    const part = '--b\r\nContent-Disposition: form-data; name="module"; filename="a"\r\n\r\nx';
    const slow = Array.from({ length: 8 }, () => connect(api().port, '127.0.0.1'));
    for (const socket of slow) socket.write(`${head}Content-Length: 1000\r\n\r\n${part}`);
    await eventually('all are under way', async () => (await api().uploads()).length === 8);
    const refused = await api().upload('dice', module);
    expect([refused.status, errorCode(refused)]).to.deep.equal([429, 'QUEUE_FULL']);
    expect(Number(refused.headers.get('retry-after'))).to.be.at.least(1);
    for (const socket of slow) socket.destroy();
    await eventually('all are gone', async () => (await api().uploads()).length === 0);
    expect((await api().upload('dice', module)).status).to.equal(201);
  });

  it('have an environment of a bounded size', () => {
    const env = { A: 'x'.repeat(30_000), B: 'x'.repeat(30_000), C: 'x'.repeat(6000) };
    expect(functionSettingsSchema.safeParse({ env }).error?.message).to.include('65536 bytes');
    const names = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`NAME_${index}`, '']));
    expect(functionSettingsSchema.safeParse({ env: names(513) }).error?.message).to.include('512 names');
    expect(functionSettingsSchema.safeParse({ env: names(512) }).success).to.equal(true);
    expect(functionSettingsSchema.safeParse({ env: { ...env, C: '' } }).success).to.equal(true);
  });

  it('are registered from .tar.gz and .zip', async () => {
    for (const [format, bytes] of [
      ['tar.gz', module],
      ['zip', zip([{ name: 'test.py', content: 'print(2)' }])],
    ] as const) {
      const reply = await api().upload('dice', bytes);
      expect(reply.status).to.equal(201);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      expect(reply.json).to.include({ functionName: 'dice', runtimeName: 'pythonruntime', kind: 'runtime' });
      expect(reply.json).to.include({ sha256, size: bytes.byteLength, format, lifecycle: 'warm' });
    }
    expect((await api().get('/functions/dice')).json).to.deep.include({ version: 2, versions: [1, 2] });
    expect(await api().uploads()).to.deep.equal([]);
  });

  it('are hot if they have a handler and nothing to run, unless their owner says otherwise', async () => {
    for (const [files, fields, lifecycle] of [
      [['handler.py'], {}, 'hot'],
      [['handler.py', 'test.py'], {}, 'warm'],
      [['handler.py', 'tests/test.py', 'test_more.py'], {}, 'hot'],
      [['test.py', 'lib/handler.py'], {}, 'warm'],
      [['handler.py'], { lifecycle: 'warm' }, 'warm'],
    ] as const) {
      const entries = files.map((name) => ({ name, content: 'x = 1' }));
      for (const bytes of [tarGz(entries), zip(entries)]) {
        const reply = await api().upload('dice', bytes, fields);
        expect(reply.status).to.equal(201);
        expect(reply.json, files.join()).to.include({ lifecycle });
      }
    }
    await api().upload('dice', tarGz([{ name: 'handler.py', content: '' }]));
    const changed = await api().send('PUT', '/functions/dice', JSON.stringify({ memoryMb: 64 }));
    expect(changed.json).to.include({ lifecycle: 'hot', memoryMb: 64 });
  });

  it('take settings as further fields, whatever their order', async () => {
    const fields: [string, string][] = [
      ['lifecycle', 'hot'],
      ['timeoutMs', '1500'],
      ['cpus', '0.5'],
      ['network', 'bridge'],
      ['env', '{"A":"1"}'],
      ['retry', '{"attempts":2}'],
    ];
    const form = formOf(...fields.slice(0, 3), ['module', new Blob([module])], ...fields.slice(3));
    const reply = await api().send('POST', PATH, form);
    expect(reply.status, reply.text).to.equal(201);
    expect(reply.json).to.deep.include({
      lifecycle: 'hot',
      timeoutMs: 1500,
      cpus: 0.5,
      network: 'bridge',
      env: { A: '1' },
      retry: { attempts: 2, backoffMs: 1000 },
    });
  });

  it('are refused with a wrong, doubled or unknown field', async () => {
    for (const fields of [
      [['timeoutMs', 'soon']],
      [['timeoutMs', '']],
      [
        ['timeoutMs', '1'],
        ['timeoutMs', '2'],
      ],
      [['memoryMb', '"64"']],
      [['env', '{"A":1}']],
      [['env', 'A=1']],
      [['lifecycle', 'cold']],
      [['speed', '1']],
      [['__proto__', '{}']],
      [['env[A]', '"1"']],
    ] as [string, string][][]) {
      const reply = await api().send('POST', PATH, formOf(...fields, ['module', new Blob([module])]));
      await expectRefused(reply, 400, 'INVALID_REQUEST');
    }
  });

  it('are refused without a module, with two, or with another file', async () => {
    const file = new Blob([module]);
    for (const form of [
      formOf(['memoryMb', '64']),
      formOf(['module', 'text']),
      formOf(['module', file], ['module', file]),
      formOf(['code', file]),
      formOf(['module', file], ['extra', file]),
      formOf(...Array.from({ length: 40 }, (_, i): [string, string] => [`f${i}`, '1']), ['module', file]),
    ]) {
      await expectRefused(await api().send('POST', PATH, form), 400, 'INVALID_REQUEST');
    }
  });

  it('are refused where the request is no form', async () => {
    for (const [body, headers] of [
      [module, { 'content-type': 'application/gzip' }],
      [module, {}],
      ['{}', { 'content-type': 'application/json' }],
    ] as const) {
      await expectRefused(await api().send('POST', PATH, body, headers), 415, 'UNSUPPORTED_MEDIA_TYPE');
    }
    await expectRefused(await api().send('POST', PATH), 415, 'UNSUPPORTED_MEDIA_TYPE');
  });

  it('are refused with a field that is not UTF-8', async () => {
    const part = (head: string, content: Uint8Array | string) =>
      Buffer.concat([
        Buffer.from(`--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
        Buffer.from(content),
        Buffer.from('\r\n'),
      ]);
    const body = Buffer.concat([
      part('name="env"', Buffer.from('{"A":"a\u00f1o"}', 'latin1')),
      part('name="module"; filename="m"', module),
      Buffer.from('--b--\r\n'),
    ]);
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    const reply = await api().send('POST', PATH, body, headers);
    await expectRefused(reply, 400, 'INVALID_REQUEST');
    expect(reply.text).to.contain('env: must be UTF-8');
  });

  it('are refused where the form is broken', async () => {
    const type = 'multipart/form-data; boundary=b';
    const head = '--b\r\nContent-Disposition: form-data; name="module"; filename="m"\r\n\r\n';
    for (const [body, contentType] of [
      ['', type],
      ['garbage', type],
      [head, type],
      [`${head}half`, type],
      ['x', 'multipart/form-data'],
    ] as const) {
      const reply = await api().send('POST', PATH, body, { 'content-type': contentType });
      await expectRefused(reply, 400, 'INVALID_REQUEST');
    }
  });

  it('are refused over the size that bundles may have', async () => {
    const reply = await api().upload('dice', Buffer.alloc(129 * 1024));
    await expectRefused(reply, 413, 'BUNDLE_TOO_LARGE');
    await expectRefused(await api().upload('dice', Buffer.alloc(400 * 1024)), 413, 'BUNDLE_TOO_LARGE');
    const bomb = tarGz([{ name: 'zeros', content: Buffer.alloc(2 * 1024 * 1024) }]);
    await expectRefused(await api().upload('dice', bomb), 413, 'BUNDLE_TOO_LARGE');
    const field = await api().upload('dice', module, { env: 'x'.repeat(65 * 1024) });
    await expectRefused(field, 413, 'BODY_TOO_LARGE');
  });

  it('are refused where the archive is none, or unsafe', async () => {
    await expectRefused(await api().upload('dice', Buffer.from('hello')), 415, 'NOT_AN_ARCHIVE');
    const unsafe = await api().upload('dice', tarGz([{ name: '../evil' }]));
    await expectRefused(unsafe, 422, 'UNSAFE_ARCHIVE');
    expect(unsafe.text).to.contain('../evil');
  });

  it('are refused with the folder around them, where the runtime says in which file code begins', async () => {
    const packed = tarGz([{ name: 'dice/test.py', content: 'print(1)' }]);
    const reply = await api().upload('dice', packed);
    await expectRefused(reply, 400, 'INVALID_REQUEST');
    expect(reply.text).to.contain('test.py is in folder dice/');
    for (const [name, run] of [
      ['inside', 'sh dice/run.sh'],
      ['moves', 'cd dice; python3 test.py'],
      ['any', 'python3 -m dice'],
      ['other', 'python3 main.py'],
    ] as const) {
      await api().post('/registerRuntime', { name, image: 'pythonruntime', path: '/ws', run });
      const form = formOf(['module', new Blob([packed])]);
      const taken = await api().send('POST', `/registerFunction/${name}/dice`, form);
      expect([name, taken.status]).to.deep.equal([name, 201]);
    }
  });

  it('are refused on an unknown runtime, and under a bad name', async () => {
    const form = (): FormData => formOf(['module', new Blob([module])]);
    const unknown = await api().send('POST', '/registerFunction/none/dice', form());
    await expectRefused(unknown, 404, 'RUNTIME_NOT_FOUND');
    const name = await api().send('POST', '/registerFunction/pythonruntime/__proto__', form());
    await expectRefused(name, 400, 'INVALID_NAME');
  });

  it('are hot only on a runtime with a handler', async () => {
    await api().post('/registerRuntime', { image: 'plain', path: '/ws', run: 'true' });
    const form = formOf(['module', new Blob([module])], ['lifecycle', 'hot']);
    await expectRefused(
      await api().send('POST', '/registerFunction/plain/dice', form),
      400,
      'INVALID_REQUEST',
    );
  });

  it('leave nothing where the store cannot write', async () => {
    api().store.functions.putFunction = () =>
      Promise.reject(new PanalError('STORE_UNAVAILABLE', 'the disk is full'));
    await expectRefused(await api().upload('dice', module), 503, 'STORE_UNAVAILABLE');
  });

  it('leave a bundle that another function uses', async () => {
    await api().upload('first', module);
    api().store.functions.putFunction = () =>
      Promise.reject(new PanalError('STORE_UNAVAILABLE', 'the disk is full'));
    expect((await api().upload('second', module)).status).to.equal(503);
    expect(await api().storedBundles()).to.have.length(1);
  });

  it('are refused where the upload cannot be written', async () => {
    await rm(api().bundles.uploadFolder, { recursive: true });
    const reply = await api().upload('dice', module);
    await api().bundles.open();
    await expectRefused(reply, 503, 'STORE_UNAVAILABLE');
  });

  it('leave nothing when the client goes away in the middle', async () => {
    const socket = connect(api().port, '127.0.0.1');
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n` +
        'Content-Type: multipart/form-data; boundary=b\r\n\r\n' +
        '--b\r\nContent-Disposition: form-data; name="module"; filename="m"\r\n\r\n' +
        'x'.repeat(20_000),
    );
    await eventually('a file in the upload folder', async () => (await api().uploads()).length > 0);
    socket.destroy();
    await eventually('no file in the upload folder', async () => (await api().uploads()).length === 0);
    expect((await api().get('/functions')).json).to.deep.equal([]);
    expect(api().logged).to.deep.equal([]);
  });
});
