import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { PanalError } from '@panal/protocol';
import { errorCode, startedApi } from './api.js';

describe('every request', () => {
  const api = startedApi();

  it('to no route is answered with 404 NOT_FOUND', async () => {
    for (const path of ['/', '/nope', '/Functions', '/call', '/functions/a/b', '/%zz']) {
      const reply = await api().get(path);
      expect([path, reply.status, errorCode(reply)]).to.deep.equal([path, 404, 'NOT_FOUND']);
    }
  });

  it('with a method that its route has not is told those that it has', async () => {
    const reply = await api().send('PATCH', '/functions/dice');
    expect([reply.status, errorCode(reply)]).to.deep.equal([405, 'METHOD_NOT_ALLOWED']);
    expect(reply.headers.get('allow')?.split(', ')).to.have.members([
      'HEAD',
      'GET',
      'PUT',
      'DELETE',
      'OPTIONS',
    ]);
  });

  it('of OPTIONS is answered with the methods alone', async () => {
    const reply = await api().send('OPTIONS', '/invokeFunction');
    expect([reply.status, reply.text]).to.deep.equal([204, '']);
    expect(reply.headers.get('allow')).to.equal('POST, OPTIONS');
  });

  it('of HEAD is answered as GET, without the body', async () => {
    const head = await api().send('HEAD', '/runtimes');
    expect([head.status, head.text]).to.deep.equal([200, '']);
    expect(head.headers.get('content-length')).to.equal(String((await api().get('/runtimes')).text.length));
  });

  it('with a query parameter that does not exist is refused', async () => {
    for (const path of ['/functions?page=2', '/calls?__proto__=1', '/healthz?x=', '/calls?limit=1&limit=2']) {
      const reply = await api().get(path);
      expect([path, reply.status, errorCode(reply)]).to.deep.equal([path, 400, 'INVALID_REQUEST']);
    }
  });

  it('with a bad name in its path is refused', async () => {
    for (const name of ['__proto__', '.hidden', 'a%2Fb', '%zz', 'a%00', 'ñ', 'x'.repeat(129)]) {
      for (const [method, path] of [
        ['GET', `/functions/${name}`],
        ['DELETE', `/runtimes/${name}`],
        ['POST', `/run/${name}`],
      ] as const) {
        const reply = await api().send(method, path);
        expect([path, reply.status, errorCode(reply)]).to.deep.equal([path, 400, 'INVALID_NAME']);
      }
    }
  });

  it('that fails inside is logged, and answered with 500 and no word of why', async () => {
    api().cluster.workers = () => {
      throw new Error('secret detail');
    };
    const reply = await api().get('/workers');
    expect([reply.status, errorCode(reply)]).to.deep.equal([500, 'INTERNAL']);
    expect(reply.text).not.to.contain('secret');
    const [line = ''] = api().logged;
    expect(JSON.parse(line)).to.have.nested.property('err.stack').that.contains('secret detail');
  });

  it('that fails for now is told when to try again', async () => {
    api().cluster.workers = () => {
      throw new PanalError('STORE_UNAVAILABLE', 'the disk is full', { retryAfter: 7 });
    };
    const reply = await api().get('/workers');
    expect([reply.status, errorCode(reply)]).to.deep.equal([503, 'STORE_UNAVAILABLE']);
    expect(reply.headers.get('retry-after')).to.equal('7');
  });
});

describe('a JSON body', () => {
  const api = startedApi();
  const send = (body: RequestInit['body'], headers = {}) =>
    api().send('POST', '/invokeFunction', body, headers);

  it('that is not a JSON object in UTF-8 is refused', async () => {
    for (const body of [
      '',
      '{',
      '{"funcName":"a"}}',
      '[]',
      '"a"',
      'null',
      '1',
      Buffer.from([0x22, 0xff, 0x22]),
    ]) {
      const reply = await send(body);
      expect([body, reply.status, errorCode(reply)]).to.deep.equal([body, 400, 'INVALID_REQUEST']);
    }
  });

  it('with a missing, wrong or unknown field is refused with the name of the field', async () => {
    const cases: [string, string][] = [
      ['{}', 'funcName'],
      ['{"funcName":7}', 'funcName'],
      ['{"funcName":"a","param":1}', 'param'],
      ['{"funcName":"a","__proto__":1}', '__proto__'],
      ['{"funcName":"a","params":1,"params":2}', 'params'],
      ['{"funcName":"a","funcName":"a"}', 'funcName'],
      ['{"funcName":"a","func\\u004eame":"b"}', 'funcName'],
    ];
    for (const [body, field] of cases) {
      const reply = await send(body);
      expect([body, reply.status, errorCode(reply)]).to.deep.equal([body, 400, 'INVALID_REQUEST']);
      expect(reply.text).to.contain(field);
    }
  });

  it('that is not UTF-8 is refused on every route that takes JSON', async () => {
    const json = '{"funcName":"a"}';
    const notUtf8 = [
      Buffer.from('{"funcName":"a\u00f1o"}', 'latin1'),
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
      Buffer.from(json, 'utf16le'),
      Buffer.from(`\ufeff${json}`, 'utf16le'),
      Buffer.from(`\ufeff${json}`),
    ];
    for (const [method, path] of [
      ['POST', '/invokeFunction'],
      ['POST', '/registerRuntime'],
      ['POST', '/registerFunction'],
      ['PUT', '/functions/a'],
      ['POST', '/users'],
      ['POST', '/users/token'],
    ] as const) {
      for (const body of notUtf8) {
        const reply = await api().send(method, path, body);
        expect([path, reply.status, errorCode(reply)]).to.deep.equal([path, 400, 'INVALID_REQUEST']);
        expect(reply.text).to.match(/not UTF-8|not JSON/);
      }
    }
  });

  it('with a bad name is refused as such', async () => {
    const reply = await send('{"funcName":"__proto__"}');
    expect([reply.status, errorCode(reply)]).to.deep.equal([400, 'INVALID_NAME']);
  });

  it('is read whatever its content type says', async () => {
    await api().registerImage('echo');
    for (const type of [
      'application/x-www-form-urlencoded',
      'text/plain',
      'application/json; charset=utf-8',
      'x',
    ]) {
      expect((await send('{"funcName":"echo"}', { 'content-type': type })).status).to.equal(202);
    }
  });

  it('is refused as multipart, or with a content encoding', async () => {
    const form = new FormData();
    form.set('funcName', 'a');
    for (const reply of [await send(form), await send('{}', { 'content-encoding': 'gzip' })]) {
      expect([reply.status, errorCode(reply)]).to.deep.equal([415, 'UNSUPPORTED_MEDIA_TYPE']);
    }
  });

  it('over the limit is refused, with a declared length and in chunks', async () => {
    const large = 'x'.repeat(65 * 1024);
    for (const body of [large, Readable.toWeb(Readable.from([large, large])) as ReadableStream]) {
      for (const path of ['/invokeFunction', '/run/echo']) {
        await api().registerImage('echo');
        const reply = await api().send('POST', path, body instanceof ReadableStream ? chunked(large) : body);
        expect([path, reply.status, errorCode(reply)]).to.deep.equal([path, 413, 'BODY_TOO_LARGE']);
      }
    }
  });

  it('over the limit does not cost the connection its next request', async () => {
    const socket = connect(api().port, '127.0.0.1');
    const large = 70_000;
    socket.write(`POST /invokeFunction HTTP/1.1\r\nHost: x\r\nContent-Length: ${large}\r\n\r\n`);
    socket.write('x'.repeat(large));
    socket.end('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const answers = await text(socket);
    expect(answers).to.contain('BODY_TOO_LARGE').and.to.contain('{"status":"ok"}');
  });

  it('is asked for where the client waits to be', async () => {
    await api().registerImage('echo');
    const body = '{"funcName":"echo"}';
    const headers = { expect: '100-continue', 'content-length': body.length };
    const status = await new Promise((resolve, reject) => {
      const waiting = request({ port: api().port, path: '/invokeFunction', method: 'POST', headers });
      waiting.once('continue', () => waiting.end(body));
      waiting.once('response', (response) => resolve(response.resume().statusCode));
      waiting.once('error', reject);
      waiting.flushHeaders();
    });
    expect(status).to.equal(202);
  });

  it('that its client never finishes is dropped in silence', async () => {
    const socket = connect(api().port, '127.0.0.1');
    socket.write('POST /invokeFunction HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"func');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
    expect((await api().get('/healthz')).status).to.equal(200);
    expect(api().logged).to.deep.equal([]);
  });
});

describe('the server', () => {
  const api = startedApi();

  it('answers what is not HTTP in the shape of its errors, and hangs up', async () => {
    for (const garbage of [
      '\x16\x03\x01\x00\xa5\x01\r\n\r\n',
      'GET / HTTP/9\r\n\r\n',
      `GET / HTTP/1.1\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`,
    ]) {
      const socket = connect(api().port, '127.0.0.1');
      socket.end(garbage);
      const [head, body = ''] = (await text(socket)).split('\r\n\r\n');
      expect(head).to.match(/^HTTP\/1.1 400 /);
      expect(JSON.parse(body)).to.have.nested.property('error.code', 'INVALID_REQUEST');
    }
  });

  it('answers what it was asked before it closes, and keeps no connection then', async () => {
    await api().registerImage('echo');
    const answer = api().send('POST', '/run/echo', 'x');
    const job = await api().take();
    const closed = api().listener?.close(10_000);
    await api().end(job, 'done');
    expect((await answer).text).to.equal('done');
    await closed;
  });

  it('cuts off what takes longer than its grace', async () => {
    await api().registerImage('echo');
    const answer = api()
      .send('POST', '/run/echo', 'x')
      .catch(() => 'cut off');
    await api().take();
    await api().listener?.close(1);
    expect(await answer).to.equal('cut off');
  });
});

const chunked = (piece: string): ReadableStream =>
  new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from(piece));
      controller.close();
    },
  });
