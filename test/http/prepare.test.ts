import { expect } from 'chai';
import { errorCode, startedApi } from './api.js';

describe('POST /functions/:name/prepare', () => {
  const api = startedApi();
  beforeEach(async () => {
    await api().registerImage('dice', { retry: { attempts: 3, backoffMs: 0 } });
  });

  const prepare = async (query = '', headers = {}) =>
    api().send('POST', `/functions/dice/prepare${query}`, undefined, headers);

  it('accepts a call of the active version that does not run the function', async () => {
    const reply = await prepare();
    expect([reply.status, reply.json]).to.deep.equal([202, { callNum: 1, status: 'PENDING' }]);
    expect(reply.headers.get('location')).to.equal('/call/1');
    const job = await api().take();
    expect([job.input, job.params.byteLength]).to.deep.equal(['prepare', 0]);
    await api().end(job, '', {}, 'installing\n');
    const call = { callNum: 1, kind: 'prepare', status: 'DONE', logs: 'installing\n', version: 1 };
    expect((await api().get('/call/1')).json)
      .to.include(call)
      .and.not.have.property('params');
    expect((await api().get('/calls')).json).to.have.nested.property('c1.kind', 'prepare');
  });

  it('says nothing of a kind in other calls', async () => {
    await api().post('/invokeFunction', { funcName: 'dice' });
    expect((await api().get('/call/1')).json).not.to.have.property('kind');
  });

  it('answers with the finished call where the client waits, by the query or the header', async () => {
    const byQuery = prepare('?wait=60');
    await api().end(await api().take(), '');
    expect((await byQuery).json).to.include({ kind: 'prepare', status: 'DONE' });
    const byHeader = prepare('', { Prefer: 'wait=60' });
    await api().end(await api().take(), '');
    expect((await byHeader).status).to.equal(200);
    expect((await byHeader).headers.get('preference-applied')).to.equal('wait=60');
  });

  it('ends with the reason of a failure, which the retry of the function does not try again', async () => {
    const reply = prepare('?wait=60');
    const error = { code: 'DEPENDENCIES_FAILED', message: 'exited with code 1' } as const;
    await api().end(await api().take(), '', { status: 'FAILED', exitCode: 1, error }, 'no such package\n');
    expect((await reply).json).to.deep.include({
      status: 'FAILED',
      attempts: 1,
      error: { ...error, detail: 'no such package\n' },
    });
  });

  it('gives the same call for the same key, which no other request may have', async () => {
    const headers = { 'Idempotency-Key': 'k' };
    expect((await prepare('', headers)).json).to.include({ callNum: 1 });
    const again = await prepare('', headers);
    expect(again.json).to.include({ callNum: 1 });
    expect(again.headers.get('idempotent-replayed')).to.equal('true');
    const other = await api().post('/invokeFunction', { funcName: 'dice' }, headers);
    expect(errorCode(other)).to.equal('IDEMPOTENCY_KEY_REUSED');
  });

  it('is found again after a restart', async () => {
    await prepare();
    expect(await api().store.calls.getCall('public', 1)).to.include({ input: 'prepare', status: 'PENDING' });
  });

  it('refuses unknown functions, and all while a worker would not understand the call', async () => {
    expect(errorCode(await api().send('POST', '/functions/nosuch/prepare'))).to.equal('FUNCTION_NOT_FOUND');
    api().cluster.prepares = false;
    expect(errorCode(await prepare())).to.equal('NOT_FOUND');
    expect((await api().post('/invokeFunction', { funcName: 'dice' })).status).to.equal(202);
  });
});
