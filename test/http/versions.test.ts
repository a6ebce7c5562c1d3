import { expect } from 'chai';
import { PUBLIC_OWNER } from '@panal/protocol';
import { tarGz } from '../../testkit/archives.js';
import { eventually } from '../../testkit/wait.js';
import { Api, errorCode, startedApi } from './api.js';

describe('versions over HTTP', () => {
  const api = startedApi();
  const path = '/functions/reverse/versions';
  const remove = (version: number | string) => api().send('DELETE', `${path}/${version}`);
  const numbers = async (): Promise<number[]> =>
    ((await api().get(path)).json as { version: number }[]).map(({ version }) => version);

  it('are listed with what they run, and which is the active one', async () => {
    await api().registerImage('reverse');
    await api().upload('reverse', tarGz([{ name: 'test.py' }]));
    await api().put('/functions/reverse', { version: 1 });
    const [first, second] = (await api().get(path)).json as Record<string, unknown>[];
    expect(first).to.include({ version: 1, active: true, image: 'example/reverse' });
    expect(first).not.to.have.property('sha256');
    expect(second).to.include({ version: 2, active: false, runtimeName: 'pythonruntime' });
    expect(second?.sha256).to.match(/^[0-9a-f]{64}$/);
    expect(Date.parse(String(second?.createdAt))).to.be.at.least(Date.parse(String(first?.createdAt)));
    const unknown = await api().get('/functions/other/versions');
    expect([unknown.status, errorCode(unknown)]).to.deep.equal([404, 'FUNCTION_NOT_FOUND']);
  });

  it('are deleted one by one, but the active one', async () => {
    for (let version = 1; version <= 3; version++) await api().registerImage('reverse');
    const active = await remove(3);
    expect([active.status, errorCode(active)]).to.deep.equal([409, 'VERSION_IN_USE']);
    const gone = await remove(1);
    expect([gone.status, gone.text]).to.deep.equal([204, '']);
    for (const [version, status, code] of [
      [1, 404, 'VERSION_NOT_FOUND'],
      [9, 404, 'VERSION_NOT_FOUND'],
      [0, 400, 'INVALID_REQUEST'],
      ['x', 400, 'INVALID_REQUEST'],
    ] as const) {
      const reply = await remove(version);
      expect([reply.status, errorCode(reply)]).to.deep.equal([status, code]);
    }
    expect(await numbers()).to.deep.equal([2, 3]);
    const back = await api().put('/functions/reverse', { version: 1 });
    expect(errorCode(back)).to.equal('VERSION_NOT_FOUND');
    expect((await api().registerImage('reverse')).json).to.include({ version: 4 });
    expect(api().cluster.retired).to.have.length(1);
  });

  for (const [what, deletion] of [
    ['its version', path + '/1'],
    ['its function', '/functions/reverse'],
  ] as const) {
    it(`are kept for a call that has not ended when ${what} is deleted, also across a restart`, async () => {
      await api().registerImage('reverse');
      await api().post('/invokeFunction', { funcName: 'reverse' });
      const { functionId } = (await api().store.calls.getCall(PUBLIC_OWNER, 1)) ?? {};
      await api().registerImage('reverse', { memoryMb: 64 });
      expect((await api().send('DELETE', deletion)).status).to.equal(204);
      // Another of the same name and number must not take its place.
      await api().registerImage('reverse', { memoryMb: 32 });
      await api().stop();
      const restarted = new Api(api().folder);
      await restarted.start();
      try {
        const job = await restarted.take();
        expect(job.spec).to.deep.include({ id: functionId, version: 1 });
        await restarted.end(job, 'olleh');
        expect((await restarted.get('/call/1')).json).to.include({ status: 'DONE', version: 1 });
        // In its own time, after the call's end was told.
        await eventually(
          'it is kept no longer',
          async () => (await restarted.store.functions.listKeptVersions()).length === 0,
        );
      } finally {
        await restarted.stop();
      }
    });
  }

  it('are not kept where no call needs them', async () => {
    await api().registerImage('reverse');
    await api().send('DELETE', '/functions/reverse');
    expect(await api().store.functions.listKeptVersions()).to.deep.equal([]);
  });
});
