import { join } from 'node:path';
import { expect } from 'chai';
import { KEY_LIFE_MS, KeyedCalls } from '../../broker/src/calls/keyed-calls.js';
import { temporaryFolder } from '../support/folder.js';
import { eventually } from '../../testkit/wait.js';
import { Api, errorCode, startedApi, type Reply } from './api.js';
import { Person } from './person.js';

const callNum = ({ json }: Reply): unknown => (json as { callNum?: unknown }).callNum;
const replayed = ({ headers }: Reply): string | null => headers.get('idempotent-replayed');

describe('Idempotency-Key', () => {
  const api = startedApi();
  const invoke = (key: string, params: unknown = 7, path = '/invokeFunction'): Promise<Reply> =>
    api().post(path, { funcName: 'dice', params }, { 'Idempotency-Key': key });

  beforeEach(async () => {
    await api().registerImage('dice');
    await api().registerImage('other');
  });

  it('gives the same call to the same key', async () => {
    const first = await invoke('"order 7"');
    const second = await invoke('"order 7"');
    expect([first.status, second.status]).to.deep.equal([202, 202]);
    expect([callNum(first), callNum(second)]).to.deep.equal([1, 1]);
    expect([replayed(first), replayed(second)]).to.deep.equal([null, 'true']);
    expect(callNum(await invoke('"order 8"'))).to.equal(2);
    expect(api().cluster.jobs).to.have.length(2);
  });

  it('gives the same call to requests that come at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => invoke('k')));
    expect(new Set(answers.map(callNum))).to.deep.equal(new Set([1]));
    expect(answers.filter((answer) => replayed(answer) === null)).to.have.length(1);
    expect(api().cluster.jobs).to.have.length(1);
  });

  it('gives the finished call to one who asks again and waits', async () => {
    await invoke('k');
    const waiting = invoke('k', 7, '/invokeFunction?wait=10');
    await api().end(await api().take(), '4');
    expect((await waiting).json).to.include({ callNum: 1, status: 'DONE', result: '4' });
    expect((await invoke('k', 7, '/invokeFunction?wait=10')).json).to.include({ result: '4' });
  });

  it('refuses a key that comes with something else', async () => {
    await invoke('k');
    const otherParams = await invoke('k', 8);
    expect(otherParams.status).to.equal(422);
    expect(errorCode(otherParams)).to.equal('IDEMPOTENCY_KEY_REUSED');
    const body = { funcName: 'other', params: 7 };
    const otherFunction = await api().post('/invokeFunction', body, { 'Idempotency-Key': 'k' });
    expect(errorCode(otherFunction)).to.equal('IDEMPOTENCY_KEY_REUSED');
    expect(api().cluster.jobs).to.have.length(1);
  });

  it('takes a key with and without quotes', async () => {
    expect(callNum(await invoke('a"b'))).to.equal(undefined);
    expect(callNum(await invoke('plain'))).to.equal(1);
    expect(callNum(await invoke('"plain"'))).to.equal(1);
    expect(callNum(await invoke('"a \\"b\\\\"'))).to.equal(2);
    for (const bad of ['""', 'two words', 'k'.repeat(256), '"open', 'ü']) {
      expect(errorCode(await invoke(bad)), bad).to.equal('INVALID_REQUEST');
    }
  });

  it('is accepted anew where the first request was refused', async () => {
    expect(
      errorCode(await api().post('/invokeFunction', { funcName: 'no' }, { 'Idempotency-Key': 'k' })),
    ).to.equal('FUNCTION_NOT_FOUND');
    expect(replayed(await invoke('k'))).to.equal(null);
  });

  it('gives POST /run the result of the call that ran', async () => {
    const run = (body: string): Promise<Reply> =>
      api().send('POST', '/run/dice', body, { 'Idempotency-Key': 'k' });
    const first = run('2d6');
    await api().end(await api().take(), 'nine');
    expect(await first).to.include({ status: 200, text: 'nine' });
    const second = await run('2d6');
    expect(second).to.include({ status: 200, text: 'nine' });
    expect(second.headers.get('x-call-num')).to.equal('1');
    expect(replayed(second)).to.equal('true');
    expect(errorCode(await run('3d6'))).to.equal('IDEMPOTENCY_KEY_REUSED');
  });

  it('keeps a call whose client goes away, for it may come back', async () => {
    const gone = new AbortController();
    const url = `http://127.0.0.1:${api().port}/run/dice`;
    const request = { method: 'POST', headers: { 'Idempotency-Key': 'k' }, signal: gone.signal };
    const first = fetch(url, request).catch(() => 'gone');
    const job = await api().take();
    gone.abort();
    expect(await first).to.equal('gone');
    const second = api().send('POST', '/run/dice', undefined, { 'Idempotency-Key': 'k' });
    await api().end(job, 'nine');
    expect((await second).text).to.equal('nine');
    expect(api().cluster.cancelled).to.deep.equal([]);
  });

  it('gives its call also where the function has been deleted since', async () => {
    await invoke('k');
    await api().end(await api().take(), '4');
    const run = (key: string): Promise<Reply> =>
      api().send('POST', '/run/other', 'x', { 'Idempotency-Key': key });
    const running = run('r');
    await api().end(await api().take(), 'nine');
    expect((await running).text).to.equal('nine');
    for (const name of ['dice', 'other']) {
      expect((await api().send('DELETE', `/functions/${name}`)).status).to.equal(204);
    }

    const again = await invoke('k');
    expect([again.status, callNum(again), replayed(again)]).to.deep.equal([202, 1, 'true']);
    const waited = await invoke('k', 7, '/invokeFunction?wait=5');
    expect(waited.json).to.include({ callNum: 1, status: 'DONE', result: '4' });
    const ran = await run('r');
    expect([ran.status, ran.text, replayed(ran)]).to.deep.equal([200, 'nine', 'true']);
    expect(errorCode(await invoke('k', 8))).to.equal('IDEMPOTENCY_KEY_REUSED');
    expect(errorCode(await invoke('new'))).to.equal('FUNCTION_NOT_FOUND');
    expect(api().cluster.jobs).to.deep.equal([]);
  });

  it('gives its call on the gateway route also where the function has been deregistered', async () => {
    const ana = await Person.register(api(), 'ana');
    await ana.registerImage('dice');
    const body = JSON.stringify({ functionName: 'dice', parameter: 'x' });
    const activate = (): Promise<Reply> =>
      ana.send('POST', '/functions/activate', body, { 'Idempotency-Key': 'k' });
    const first = activate();
    await api().end(await api().take(), 'four');
    expect((await first).json).to.deep.equal({ result: 'four', status: 'success' });
    await ana.post('/functions/deregister', { functionName: 'dice' });
    const second = await activate();
    expect([second.status, second.json, replayed(second)]).to.deep.equal([200, (await first).json, 'true']);
  });

  it('stands for a day', async () => {
    const { store, calls, services } = api();
    await invoke('k');
    const at = (ms: number): KeyedCalls =>
      new KeyedCalls({
        store: store.keys,
        getCall: (owner, number) => calls.get(owner, number),
        log: services.log,
        now: () => Date.now() + ms,
      });
    const key = (await store.keys.getKeyedCall('public', 'k')) ?? expect.fail('there is no key');
    const call = (await calls.get('public', 1)) ?? expect.fail('there is no call');
    const once = (keyed: KeyedCalls): Promise<{ replayed: boolean }> =>
      keyed.once('public', { name: 'k', fingerprint: key.fingerprint }, () => Promise.resolve(call));
    expect(await once(at(KEY_LIFE_MS - 60_000))).to.include({ replayed: true });
    expect(await once(at(KEY_LIFE_MS + 60_000))).to.include({ replayed: false });
    at(KEY_LIFE_MS + 60_000).start();
    await eventually('the key is forgotten', async () => !(await store.keys.getKeyedCall('public', 'k')));
  });
});

describe('Idempotency-Key and a restart of the broker', () => {
  const folder = temporaryFolder();

  it('gives the same call, and does not run it again', async () => {
    const headers = { 'Idempotency-Key': 'k' };
    const first = new Api(join(folder(), 'data'));
    await first.start();
    await first.registerImage('dice');
    await first.post('/invokeFunction', { funcName: 'dice' }, headers);
    await first.end(await first.take(), '4');
    await first.stop();
    const second = new Api(join(folder(), 'data'));
    await second.start();
    try {
      const answer = await second.post('/invokeFunction?wait=5', { funcName: 'dice' }, headers);
      expect(answer.json).to.include({ callNum: 1, status: 'DONE', result: '4' });
      expect(second.cluster.jobs).to.deep.equal([]);
    } finally {
      await second.stop();
    }
  });
});
