import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { eventually } from '../support/wait.js';
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
      await eventually('nobody waits', async () => (await api().store.getCall('public', 1))?.status);
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
      const stored = () => api().store.getCall('ada', 1);
      await eventually('its call is left so', async () => (await stored())?.status === becomes);
      expect(api().cluster.jobs).to.have.length(becomes === 'PENDING' ? 1 : 0);
    });
  }

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
