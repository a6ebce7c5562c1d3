import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { expect } from 'chai';
import { PUBLIC_OWNER } from '@panal/protocol';
import { eventually } from '../../testkit/wait.js';
import { Api, errorCode, startedApi } from './api.js';

describe('POST /invokeFunction', () => {
  const api = startedApi();
  beforeEach(async () => {
    await api().registerImage('dice');
  });

  it('accepts a call and says where it is found', async () => {
    const reply = await api().post('/invokeFunction', { funcName: 'dice', params: { roll: '4d6' } });
    expect([reply.status, reply.json]).to.deep.equal([202, { callNum: 1, status: 'PENDING' }]);
    expect(reply.headers.get('location')).to.equal('/call/1');
    const job = await api().take();
    expect([job.input, Buffer.from(job.params).toString()]).to.deep.equal(['json', '{"roll":"4d6"}']);
  });

  it('tells no parameter from null', async () => {
    await api().post('/invokeFunction', { funcName: 'dice' });
    await api().post('/invokeFunction', { funcName: 'dice', params: null });
    const inputs = [await api().take(), await api().take()].map(({ input, params }) => [
      input,
      params.length,
    ]);
    expect(inputs).to.deep.equal([
      ['none', 0],
      ['json', 4],
    ]);
  });

  it('carries any JSON through unchanged', async () => {
    const params = [
      '{"constructor":{"name":1},"toString":null,"hasOwnProperty":[]}',
      '"a string"',
      '[1,-0.5,1e+21,null,true,"ñ\\ud800"]',
      '[[[[[[]]]]]]',
      '[9007199254740993,1.0,1e400,-0,1E5,0.10]',
      '{"b":1,"10":2,"b":[1,  2],\n\t"a" : "\\u00e9\\/\\ud83d\\ude00"}',
      '"\\u0068ello"',
      '1e400',
      `${'['.repeat(9_000)}${']'.repeat(9_000)}`,
    ];
    for (const text of params) {
      const accepted = await api().send('POST', '/invokeFunction', `{"funcName":"dice","params":${text}}`);
      expect(accepted.status).to.equal(202);
      const job = await api().take();
      expect(Buffer.from(job.params).toString()).to.equal(text);
      await api().end(job, '');
      expect((await api().get(`/call/${job.callNum}`)).text).to.contain(`"params":${text},`);
    }
  });

  it('finds the parameters wherever they stand, without the whitespace around them', async () => {
    const params = '{ "a" : "},\\"params\\":1" }';
    for (const body of [
      `{"params":${params},"funcName":"dice"}`,
      ` \n{ "funcName" : "dice" , "params" :\r\n ${params}\t} \n`,
      `{"funcName":"dice","p\\u0061rams":${params}}`,
    ]) {
      expect((await api().send('POST', '/invokeFunction', body)).status).to.equal(202);
      expect(Buffer.from((await api().take()).params).toString()).to.equal(params);
    }
  });

  it('refuses parameters with a __proto__ key', async () => {
    for (const params of [
      '{"__proto__":{"polluted":true}}',
      '[{"a":{"__proto__":1}}]',
      '{"\\u005f_proto__" :1}',
    ]) {
      const reply = await api().send('POST', '/invokeFunction', `{"funcName":"dice","params":${params}}`);
      expect([reply.status, errorCode(reply)]).to.deep.equal([400, 'INVALID_REQUEST']);
    }
    expect({}).not.to.have.property('polluted');
  });

  it('refuses parameters nested too deeply for a program that reads them', async () => {
    const body = `{"funcName":"dice","params":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
    const reply = await api().send('POST', '/invokeFunction', body);
    expect([reply.status, errorCode(reply)]).to.deep.equal([400, 'INVALID_REQUEST']);
  });

  it('answers with the finished call where the client prefers to wait', async () => {
    for (const [path, headers, applied] of [
      ['/invokeFunction', { prefer: 'respond-async, wait="30"' }, 'wait=30'],
      ['/invokeFunction?wait=30', {}, null],
      ['/invokeFunction?wait=30', { prefer: 'wait=0' }, null],
    ] as const) {
      const answer = api().post(path, { funcName: 'dice', params: 1 }, headers);
      await api().end(await api().take(), '[4,6,4,3]');
      const reply = await answer;
      expect([reply.status, reply.headers.get('preference-applied')]).to.deep.equal([200, applied]);
      expect(reply.headers.get('content-type')).to.equal('application/json; charset=utf-8');
      expect(reply.json).to.include({ funcName: 'dice', params: 1, status: 'DONE', result: '[4,6,4,3]' });
    }
  });

  it('answers with a call that failed as with any finished one', async () => {
    const answer = api().post('/invokeFunction?wait=30', { funcName: 'dice' });
    const error = { code: 'FUNCTION_FAILED', message: 'exit code 3' } as const;
    await api().end(await api().take(), 'half', { status: 'FAILED', exitCode: 3, error }, 'oh no');
    const reply = await answer;
    expect(reply.status).to.equal(200);
    expect(reply.json).to.deep.include({
      status: 'FAILED',
      result: 'half',
      logs: 'oh no',
      exitCode: 3,
      error: { ...error, detail: 'oh no' },
    });
  });

  it('answers with 202 when the wait ends first', async () => {
    const reply = await api().post('/invokeFunction', { funcName: 'dice' }, { prefer: 'wait=1' });
    expect([reply.status, reply.json]).to.deep.equal([202, { callNum: 1, status: 'PENDING' }]);
    expect(reply.headers.get('preference-applied')).to.equal('wait=1');
    expect((await api().store.calls.getCall(PUBLIC_OWNER, 1))?.status).to.equal('PENDING');
  });

  it('does not wait where it is not asked to, or not in seconds', async () => {
    for (const prefer of ['wait=0', 'wait=soon', 'respond-async', '']) {
      const reply = await api().post('/invokeFunction', { funcName: 'dice' }, { prefer });
      expect([prefer, reply.status]).to.deep.equal([prefer, 202]);
    }
    for (const query of ['wait=soon', 'wait=-1', 'wait=', 'wait=1.5']) {
      const reply = await api().post(`/invokeFunction?${query}`, { funcName: 'dice' });
      expect([query, reply.status]).to.deep.equal([query, 400]);
    }
  });

  it('refuses calls past the queue, with a time to try again', async () => {
    const accept = () => api().post('/invokeFunction', { funcName: 'dice' });
    await Promise.all(Array.from({ length: 200 }, accept));
    const reply = await accept();
    expect([reply.status, errorCode(reply)]).to.deep.equal([429, 'QUEUE_FULL']);
    expect(Number(reply.headers.get('retry-after'))).to.be.at.least(1);
  });

  it('reads nothing from the store to accept a call', async () => {
    const unreadable = (): Promise<never> => Promise.reject(new Error('read'));
    Object.assign(api().store, { getFunction: unreadable, getVersion: unreadable });
    expect((await api().post('/invokeFunction', { funcName: 'dice' })).status).to.equal(202);
  });

  it('finds its function again after a restart', async () => {
    await api().stop();
    const restarted = new Api(api().folder);
    await restarted.start();
    const reply = await restarted.post('/invokeFunction', { funcName: 'dice' });
    await restarted.stop();
    expect(reply.status).to.equal(202);
  });
});

describe('POST /run/:funcName', () => {
  const api = startedApi();
  const run = (body?: RequestInit['body'], headers = {}) => api().send('POST', '/run/dice', body, headers);
  beforeEach(async () => {
    await api().registerImage('dice');
  });

  it('hands the body over and the output back, byte for byte', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    for (const bytes of [every, randomBytes(60_000), Buffer.from('olleh\n'), Buffer.from('{"a": 1 }')]) {
      const answer = run(bytes, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      const job = await api().take();
      expect([job.input, Buffer.from(job.params)]).to.deep.equal(['raw', bytes]);
      await api().end(job, job.params);
      const reply = await answer;
      expect([reply.status, reply.bytes]).to.deep.equal([200, bytes]);
      expect(reply.headers.get('x-call-num')).to.equal(String(job.callNum));
    }
  });

  it('calls its output text where it is UTF-8', async () => {
    for (const [bytes, type] of [
      [Buffer.from('ñ\n'), 'text/plain; charset=utf-8'],
      [Buffer.alloc(0), 'text/plain; charset=utf-8'],
      [Buffer.from([0xff]), 'application/octet-stream'],
    ] as const) {
      const answer = run('x');
      await api().end(await api().take(), bytes);
      expect((await answer).headers.get('content-type')).to.equal(type);
    }
  });

  it('takes an empty body for no parameter', async () => {
    void run();
    expect((await api().take()).input).to.equal('none');
  });

  it('answers 502 with why a function failed, and 504 on its timeout', async () => {
    for (const [status, code, expected] of [
      ['FAILED', 'FUNCTION_FAILED', 502],
      ['FAILED', 'OUT_OF_MEMORY', 502],
      ['TIMEOUT', 'TIMEOUT', 504],
      ['CANCELLED', 'CANCELLED', 502],
    ] as const) {
      const answer = run('x');
      const job = await api().take();
      await api().end(job, 'half', { status, error: { code, message: 'why' } });
      const reply = await answer;
      expect([reply.status, reply.json]).to.deep.equal([expected, { error: { code, message: 'why' } }]);
      expect(reply.headers.get('x-call-num')).to.equal(String(job.callNum));
    }
  });

  it('says what a failed call logged last, from a whole character on, also where the call is shown', async () => {
    const error = { code: 'FUNCTION_FAILED', message: 'boom' } as const;
    for (const [logs, detail] of [
      ['Traceback (most recent call last):\n  boom\n', 'Traceback (most recent call last):\n  boom\n'],
      [`${'x'.repeat(100)}${'ñ'.repeat(2048)}`, 'ñ'.repeat(2048)],
      [`€${'ñ'.repeat(2046)}abc`, `${'ñ'.repeat(2046)}abc`],
    ] as const) {
      const answer = run('x');
      const job = await api().take();
      await api().end(job, '', { status: 'FAILED', error }, logs);
      expect((await answer).json).to.deep.equal({ error: { ...error, detail } });
      const { json } = await api().get(`/call/${job.callNum}`);
      expect(json)
        .to.have.property('error')
        .that.deep.equals({ ...error, detail });
    }
    const { text } = await api().get('/calls');
    expect(text).to.contain(error.message).and.not.to.contain('detail');
  });

  it('answers 502 where the platform gave up', async () => {
    const answer = run('x');
    const error = { code: 'IMAGE_PULL_FAILED', message: 'no registry' } as const;
    await api().end(await api().take(), '', { status: 'FAILED', platform: true, error });
    const reply = await answer;
    expect([reply.status, reply.json]).to.deep.equal([502, { error }]);
  });

  it('lets go of a client that went away, and its call go on where it is to be kept', async () => {
    const { calls } = api();
    const settled = calls.settled.bind(calls);
    const waits: ReturnType<typeof settled>[] = [];
    calls.settled = (...args) => {
      const wait = settled(...args);
      waits.push(wait);
      return wait;
    };
    const socket = connect(api().port, '127.0.0.1');
    socket.write('POST /run/dice?onDisconnect=keep HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx');
    const job = await api().take();
    await eventually('the wait', () => waits.length > 0);
    socket.destroy();
    expect(await Promise.all(waits)).to.deep.equal([undefined]);
    await api().end(job, 'late');
    expect((await api().get(`/call/${job.callNum}`)).json).to.include({ status: 'DONE', result: 'late' });
    expect(api().logged).to.deep.equal([]);
  });
});
