import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { zip } from '../../testkit/archives.js';
import { eventually } from '../../testkit/wait.js';
import { startedApi } from './api.js';

describe('a client that goes away', () => {
  const api = startedApi();
  beforeEach(async () => {
    await api().registerImage('dice');
  });

  /** Sends a request byte for byte; nothing reads its answer. */
  function send(path: string, body: string, headers = ''): Socket {
    const socket = connect(api().port, '127.0.0.1');
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    return socket;
  }

  const status = async (callNum: number): Promise<unknown> =>
    ((await api().get(`/call/${callNum}`)).json as { status: unknown }).status;

  it('from /run cancels its call that runs', async () => {
    const socket = send('/run/dice', 'x');
    const job = await api().take();
    socket.destroy();
    await eventually('the worker is told to stop it', () => api().cluster.cancelled.includes(job));
    await api().end(job, '', { status: 'CANCELLED' });
    expect(await status(job.callNum)).to.equal('CANCELLED');
    expect(api().logged).to.deep.equal([]);
  });

  it('from /run cancels its call that waits', async () => {
    const socket = send('/run/dice', 'x');
    const [job] = await eventually('it waits', () => api().cluster.jobs.length === 1 && api().cluster.jobs);
    socket.destroy();
    await eventually('it is cancelled', async () => (await status(1)) === 'CANCELLED');
    expect(api().cluster.jobs).not.to.include(job);
  });

  for (const path of ['/run/dice?onDisconnect=keep', '/invokeFunction?wait=30']) {
    it(`from ${path} leaves its call, stored`, async () => {
      const socket = send(path, '{"funcName":"dice"}');
      const job = await api().take();
      socket.destroy();
      await eventually('nobody waits', async () => (await api().store.calls.getCall('public', 1))?.status);
      await api().end(job, 'late');
      expect((await api().get('/call/1')).json).to.include({ status: 'DONE', result: 'late' });
      expect([api().cluster.cancelled, api().logged]).to.deep.equal([[], []]);
    });
  }

  for (const [query, becomes] of [
    ['', 'CANCELLED'],
    ['?onDisconnect=keep', 'PENDING'],
  ] as const) {
    it(`from /functions/activate${query} leaves its call ${becomes}`, async () => {
      const authorization = `Basic ${Buffer.from('ada:a fine password').toString('base64')}`;
      const asAda = (path: string, body: object) => api().post(path, body, { authorization });
      expect((await asAda('/register', {})).status).to.equal(200);
      await asAda('/functions/register', { functionName: 'reverse', dockerImage: 'example/reverse' });
      const body = '{"functionName":"reverse","parameter":"hello"}';
      const socket = send(`/functions/activate${query}`, body, `Authorization: ${authorization}\r\n`);
      await eventually('it waits', () => api().cluster.jobs.length === 1);
      socket.destroy();
      const stored = () => api().store.calls.getCall('ada', 1);
      await eventually('its call is left so', async () => (await stored())?.status === becomes);
      expect(api().cluster.jobs).to.have.length(becomes === 'PENDING' ? 1 : 0);
    });
  }

  it('before an answer in HTTP/1.0 cancels its call', async () => {
    const socket = connect(api().port, '127.0.0.1');
    socket.write('POST /run/dice HTTP/1.0\r\nContent-Length: 1\r\n\r\nx');
    const job = await api().take();
    socket.end();
    await eventually('the worker is told to stop it', () => api().cluster.cancelled.includes(job));
  });

  it('before its request was whole starts no call', async () => {
    const socket = connect(api().port, '127.0.0.1');
    socket.write('POST /run/dice HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf');
    socket.end();
    await new Promise((resolve) => socket.resume().once('close', resolve));
    expect((await api().get('/calls')).json).to.deep.equal({});
  });

  it('is refused with an onDisconnect that is neither', async () => {
    expect((await api().send('POST', '/run/dice?onDisconnect=stop', 'x')).status).to.equal(400);
  });
});

describe('a client that closes its sending side and waits', () => {
  const api = startedApi();
  beforeEach(async () => {
    await api().registerImage('dice');
  });

  /** Sends a request, and then the FIN. */
  function halfClosed(head: string, body = ''): Socket {
    const socket = connect({ port: api().port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(`${head} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    return socket;
  }

  for (const [path, body] of [
    ['/run/dice', ''],
    ['/run/dice', 'x'],
    ['/invokeFunction?wait=30', '{"funcName":"dice"}'],
  ] as const) {
    it(`gets its answer from ${path} with ${body.length} bytes`, async () => {
      const answer = text(halfClosed(`POST ${path}`, body));
      await api().end(await api().take(), 'late');
      expect(await answer)
        .to.match(/^HTTP\/1.1 200 OK\r\n/)
        .and.to.contain('late');
      expect(api().cluster.cancelled).to.deep.equal([]);
    });
  }

  it('gets its answer also after it was asked whether it is there', async () => {
    const socket = halfClosed('POST /run/dice', 'x');
    const job = await api().take();
    const [asked] = (await once(socket, 'data')) as [Buffer];
    expect(asked.toString()).to.equal('HTTP/1.1 100 Continue\r\n\r\n');
    await api().end(job, 'late');
    expect(await text(socket)).to.match(/^(HTTP\/1.1 100 Continue\r\n\r\n)*HTTP\/1.1 200 OK\r\n/);
  });

  it('gets the answers to all that it sent ahead', async () => {
    const socket = connect({ port: api().port, host: '127.0.0.1', allowHalfOpen: true });
    const ask = 'POST /run/dice HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx';
    socket.end(ask + ask);
    const answer = text(socket);
    for (const result of ['first', 'second']) await api().end(await api().take(), result);
    expect((await answer).match(/first|second/g)).to.deep.equal(['first', 'second']);
  });

  it('gets the answer to an upload', async () => {
    const part = '--b\r\nContent-Disposition: form-data; name="module"; filename="m"\r\n\r\n';
    const module = zip([{ name: 'test.py', content: 'print(1)' }], { stored: true }).toString('latin1');
    const body = `${part}${module}\r\n--b--\r\n`;
    const socket = connect({ port: api().port, host: '127.0.0.1', allowHalfOpen: true });
    const head = `Host: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${body.length}`;
    const request = `POST /registerFunction/pythonruntime/up HTTP/1.1\r\n${head}\r\n\r\n${body}`;
    socket.end(Buffer.from(request, 'latin1'));
    expect(await text(socket)).to.match(/^HTTP\/1.1 201 /);
  });

  it('follows the logs of a call to their end', async () => {
    await api().post('/invokeFunction', { funcName: 'dice' });
    const job = await api().take();
    const answer = text(halfClosed('GET /call/1/logs?follow=1'));
    await api().end(job, 'done', {}, 'said at the end');
    expect(await answer).to.contain('said at the end');
  });

  it('and then goes away cancels its call', async () => {
    const socket = halfClosed('POST /run/dice', 'x');
    const job = await api().take();
    await once(socket, 'data');
    socket.destroy();
    await eventually('the worker is told to stop it', () => api().cluster.cancelled.includes(job));
  });
});
