import { expect } from 'chai';
import { errorCode, startedApi } from './api.js';

/** The calls that an answer lists. */
const namesOf = (json: unknown): string[] => Object.keys(json as object);

describe('POST /call/:callNum/retry', () => {
  const api = startedApi();

  beforeEach(async () => {
    await api().registerImage('dice');
  });

  /** A call that gave up after its only attempt. */
  async function deadCall(): Promise<void> {
    await api().post('/invokeFunction', { funcName: 'dice', params: 7 });
    const job = await api().take();
    const error = { code: 'SANDBOX_FAILED', message: 'no room' } as const;
    await api().end(job, 'half a result', { status: 'FAILED', platform: true, error }, 'half a log');
  }

  it('puts a dead call back, which may end well then', async () => {
    await deadCall();
    expect((await api().get('/call/1')).json).to.include({ status: 'DEAD', attempts: 1 });
    const answer = await api().post('/call/1/retry', undefined);
    expect(answer.status).to.equal(202);
    expect(answer.headers.get('location')).to.equal('/call/1');
    expect(answer.json).to.include({ callNum: 1, status: 'PENDING', attempts: 1, logs: 'half a log' });
    expect(answer.json).to.have.property('putBackAt');
    expect(answer.json).to.not.have.any.keys('settledAt', 'result', 'timings');
    const job = await api().take();
    expect(job).to.include({ callNum: 1, attempt: 2 });
    expect(Buffer.from(job.params).toString()).to.equal('7');
    await api().end(job, '4');
    const call = (await api().get('/call/1')).json;
    expect(call).to.include({ status: 'DONE', result: '4', attempts: 2, exitCode: 0 });
    expect(call, 'of the attempt that failed').to.not.have.property('error');
  });

  it('gives it as many attempts as at first', async () => {
    await deadCall();
    await api().post('/call/1/retry', undefined);
    const job = await api().take();
    await api().end(job, '', {
      status: 'FAILED',
      platform: true,
      error: { code: 'SANDBOX_FAILED', message: 'no' },
    });
    expect((await api().get('/call/1')).json).to.include({ status: 'DEAD', attempts: 2 });
    expect((await api().post('/call/1/retry', undefined)).status).to.equal(202);
  });

  it('takes it out of the list of dead calls', async () => {
    await deadCall();
    await deadCall();
    expect(namesOf((await api().get('/calls?status=DEAD')).json)).to.deep.equal(['c2', 'c1']);
    await api().post('/call/1/retry', undefined);
    expect(namesOf((await api().get('/calls?status=DEAD')).json)).to.deep.equal(['c2']);
    expect(namesOf((await api().get('/calls?status=DEAD&funcName=dice')).json)).to.deep.equal(['c2']);
    expect(namesOf((await api().get('/calls?status=PENDING')).json)).to.deep.equal(['c1']);
  });

  it('refuses what is not dead', async () => {
    await api().post('/invokeFunction', { funcName: 'dice' });
    expect(errorCode(await api().post('/call/1/retry', undefined))).to.equal('CALL_NOT_DEAD');
    await api().end(await api().take(), '4');
    const answer = await api().post('/call/1/retry', undefined);
    expect(answer.status).to.equal(409);
    expect(errorCode(answer)).to.equal('CALL_NOT_DEAD');
    expect(errorCode(await api().post('/call/2/retry', undefined))).to.equal('CALL_NOT_FOUND');
  });

  it('puts it back once for two who ask at the same time', async () => {
    await deadCall();
    const answers = await Promise.all([1, 2, 3].map(() => api().post('/call/1/retry', undefined)));
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([202, 409, 409]);
    await api().end(await api().take(), '4');
    expect(api().cluster.jobs).to.deep.equal([]);
  });

  it('refuses one whose version was deleted', async () => {
    await deadCall();
    await api().send('DELETE', '/functions/dice');
    const answer = await api().post('/call/1/retry', undefined);
    expect(answer.status).to.equal(404);
    expect(errorCode(answer)).to.equal('VERSION_NOT_FOUND');
    expect((await api().get('/call/1')).json).to.include({ status: 'DEAD' });
  });
});
