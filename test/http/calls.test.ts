import { expect } from 'chai';
import { eventually } from '../../testkit/wait.js';
import { errorCode, startedApi } from './api.js';

describe('calls over HTTP', () => {
  const api = startedApi();
  const invoke = (funcName: string, params?: unknown) => api().post('/invokeFunction', { funcName, params });
  const numbers = (json: unknown): string[] => Object.keys(json as object);
  beforeEach(async () => {
    await api().registerImage('dice');
    await api().registerImage('echo');
  });

  it('are shown from acceptance to their end', async () => {
    await invoke('dice', { roll: '4d6' });
    const pending = (await api().get('/call/1')).json;
    expect(pending).to.deep.include({
      funcName: 'dice',
      params: { roll: '4d6' },
      callNum: 1,
      status: 'PENDING',
    });
    expect(pending).to.include({ version: 1, owner: 'public', attempts: 0 }).and.not.have.property('result');
    const job = await api().take();
    expect((await api().get('/call/1')).json).to.include({
      status: 'RUNNING',
      attempts: 1,
      worker: 'worker-1',
    });
    await api().end(job, '[4,6,4,3]', {}, 'rolling');
    const done = (await api().get('/call/1')).json as Record<string, unknown>;
    expect(done).to.include({ status: 'DONE', result: '[4,6,4,3]', logs: 'rolling', exitCode: 0 });
    expect(done).to.include({ start: 'warm', preloaded: false });
    expect(done.timings).to.have.all.keys('queued', 'prepare', 'run', 'total');
    expect(Date.parse(String(done.settledAt))).to.be.at.least(Date.parse(String(done.acceptedAt)));
  });

  it('show parameters and results that are not text in base64', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x80]);
    void api().send('POST', '/run/echo', bytes);
    await api().end(await api().take(), bytes, {}, 'caf\u00e9');
    const base64 = bytes.toString('base64');
    expect((await api().get('/call/1')).json).to.include({
      params: base64,
      paramsEncoding: 'base64',
      result: base64,
      resultEncoding: 'base64',
      logs: 'café',
    });
  });

  it('show a raw body as the JSON that it is, or as text', async () => {
    for (const [body, params] of [
      ['{"a":1}', { a: 1 }],
      ['hello', 'hello'],
      ['{"a":', '{"a":'],
    ] as const) {
      void api().send('POST', '/run/echo', body);
      const job = await api().take();
      const call = (await api().get(`/call/${job.callNum}`)).json;
      expect(call).to.deep.include({ params }).and.not.have.property('paramsEncoding');
    }
  });

  it('show a raw body however deep its JSON goes', async () => {
    const deep = '['.repeat(30_000) + ']'.repeat(30_000);
    void api().send('POST', '/run/echo', deep);
    await api().take();
    expect((await api().get('/call/1')).text).to.contain(`"params":${deep},`);
  });

  it('with a number that is none, or unknown, are refused', async () => {
    for (const method of ['GET', 'DELETE']) {
      for (const bad of ['x', '-1', '1.5', '0x1', '1e3', '9'.repeat(16), '__proto__']) {
        const reply = await api().send(method, `/call/${bad}`);
        expect([bad, reply.status, errorCode(reply)]).to.deep.equal([bad, 400, 'INVALID_REQUEST']);
      }
      for (const unknown of ['0', '7', '9'.repeat(15)]) {
        const reply = await api().send(method, `/call/${unknown}`);
        expect([unknown, reply.status, errorCode(reply)]).to.deep.equal([unknown, 404, 'CALL_NOT_FOUND']);
      }
    }
  });

  it('are cancelled while they wait and while they run, not after their end', async () => {
    await invoke('dice');
    const waiting = await api().send('DELETE', '/call/1');
    expect([waiting.status, waiting.json]).to.deep.include(200);
    expect(waiting.json).to.deep.include({ callNum: 1, status: 'CANCELLED' });
    await invoke('dice');
    const job = await api().take();
    const answer = api().send('DELETE', '/call/2');
    await eventually('the worker is told', () => api().cluster.cancelled.includes(job));
    await api().end(job, '', { status: 'CANCELLED', error: { code: 'CANCELLED', message: 'cancelled' } });
    expect((await answer).json).to.include({ callNum: 2, status: 'CANCELLED' });
    const again = await api().send('DELETE', '/call/1');
    expect([again.status, errorCode(again)]).to.deep.equal([409, 'CALL_SETTLED']);
  });

  it('are listed newest first, in pages', async () => {
    for (let i = 0; i < 5; i++) await invoke('dice', i);
    const pages: string[][] = [];
    let next: string | undefined = '/calls?limit=2';
    while (next !== undefined) {
      const page = await api().get(next);
      expect(page.headers.get('content-type')).to.equal('application/json; charset=utf-8');
      pages.push(numbers(page.json));
      next = /^<(.*)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(pages).to.deep.equal([['c5', 'c4'], ['c3', 'c2'], ['c1']]);
    expect((await api().get('/calls?before=1')).text).to.equal('{}');
  });

  it('are listed a hundred at a time, unless asked otherwise', async () => {
    for (let i = 0; i < 101; i++) await invoke('dice');
    const page = await api().get('/calls');
    expect(numbers(page.json)).to.have.length(100);
    expect(page.headers.get('link')).to.equal('</calls?limit=100&before=2>; rel="next"');
    expect(numbers((await api().get('/calls?limit=1000')).json)).to.have.length(101);
  });

  it('are listed by status and function, on every page', async () => {
    for (let i = 0; i < 6; i++) await invoke(i % 2 === 0 ? 'dice' : 'echo');
    for (let i = 0; i < 4; i++) await api().end(await api().take(), '');
    expect(numbers((await api().get('/calls?status=PENDING')).json)).to.deep.equal(['c6', 'c5']);
    expect(numbers((await api().get('/calls?funcName=echo')).json)).to.deep.equal(['c6', 'c4', 'c2']);
    const first = await api().get('/calls?status=DONE&funcName=dice&limit=1');
    expect(numbers(first.json)).to.deep.equal(['c3']);
    const link = first.headers.get('link') ?? '';
    expect(link).to.equal('</calls?limit=1&before=3&status=DONE&funcName=dice>; rel="next"');
    expect(
      numbers((await api().get('/calls?limit=1&before=3&status=DONE&funcName=dice')).json),
    ).to.deep.equal(['c1']);
  });

  it('are not listed by what does not exist', async () => {
    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=all',
      'before=x',
      'status=done',
      'status=',
      'owner=x',
    ]) {
      const reply = await api().get(`/calls?${query}`);
      expect([query, reply.status, errorCode(reply)]).to.deep.equal([query, 400, 'INVALID_REQUEST']);
    }
    expect(errorCode(await api().get('/calls?funcName=__proto__'))).to.equal('INVALID_NAME');
  });

  it('are cut in lists where they are long, and whole alone', async () => {
    const long = 'ñ'.repeat(9000);
    await invoke('dice', long);
    await api().end(await api().take(), `x${long}`, {}, long);
    await invoke('dice', 'short');
    const { c1, c2 } = (await api().get('/calls')).json as Record<'c1' | 'c2', Record<string, unknown>>;
    expect(c1).to.include({ truncated: true, result: `x${'ñ'.repeat(8191)}`, logs: 'ñ'.repeat(8192) });
    expect(c1).not.to.have.property('params');
    expect(c2).to.include({ params: 'short' }).and.not.have.property('truncated');
    expect((await api().get('/call/1')).json).to.include({ params: long, result: `x${long}`, logs: long });
  });
});
