import { expect } from 'chai';
import { PUBLIC_OWNER } from '@panal/protocol';
import { tarGz } from '../../testkit/archives.js';
import { pythonRuntime } from '../support/specs.js';
import { errorCode, startedApi } from './api.js';

const dice = {
  image: 'pythonruntime',
  path: '/ws',
  dependencies: 'pip3 install -r requirements.txt',
  run: 'python3 test.py',
};

describe('runtimes over HTTP', () => {
  const api = startedApi();
  const register = (body: object) => api().post('/registerRuntime', body);

  it('are registered, and replaced under the same name', async () => {
    const first = await register({ ...dice, name: 'mine', handler: 'python3 loop.py' });
    expect(first.status).to.equal(201);
    expect(first.json).to.include({ ...dice, name: 'mine', handler: 'python3 loop.py', bundled: false });
    const second = await register({ ...dice, name: 'mine', run: 'python3 other.py' });
    expect(second.status).to.equal(200);
    expect(second.json).to.include({ run: 'python3 other.py' }).and.not.have.property('handler');
    expect((await api().get('/runtimes/mine')).json).to.deep.equal(second.json);
  });

  it("are named after their image's last path part", async () => {
    for (const [image, name] of [
      ['pythonruntime', 'pythonruntime'],
      ['registry.example:5000/team/ruby', 'ruby'],
      ['team/perl:5.40-slim', 'perl'],
      [`team/lua:5@sha256:${'a'.repeat(64)}`, 'lua'],
    ] as const) {
      expect((await register({ ...dice, image })).json).to.include({ name, image });
    }
    const names = ['lua', 'perl', 'pythonruntime', 'ruby'];
    expect((await api().get('/runtimes')).json).to.deep.equal(names);
  });

  it('stand before a bundled one of the same name', async () => {
    expect((await api().get('/runtimes/pythonruntime')).json).to.deep.equal({
      ...pythonRuntime,
      bundled: true,
    });
    expect((await register(dice)).status).to.equal(201);
    expect((await api().get('/runtimes/pythonruntime')).json).to.include({ bundled: false });
    expect((await api().get('/runtimes')).json).to.deep.equal(['pythonruntime']);
    expect((await api().send('DELETE', '/runtimes/pythonruntime')).status).to.equal(204);
    expect((await api().get('/runtimes/pythonruntime')).json).to.include({ bundled: true });
  });

  it('are refused where a field is missing, wrong or unknown', async () => {
    const wrong: object[] = [
      {},
      { ...dice, image: undefined },
      { ...dice, image: '' },
      { ...dice, image: 'has space' },
      { ...dice, image: 'Upper/Case' },
      { ...dice, image: '-dash' },
      { ...dice, image: `a${'/a'.repeat(128)}` },
      { ...dice, path: 'ws' },
      { ...dice, path: '/' },
      { ...dice, path: '/ws/' },
      { ...dice, path: '/a//b' },
      { ...dice, path: '/a/../b' },
      { ...dice, path: '/proc/self' },
      { ...dice, path: '/sys' },
      { ...dice, path: '/dev/shm' },
      { ...dice, path: '/run/panal/home' },
      { ...dice, path: '/var/run/x' },
      { ...dice, path: '/./b' },
      { ...dice, path: '/a\0' },
      { ...dice, run: '' },
      { ...dice, run: ' \n' },
      { ...dice, run: 'a\0b' },
      { ...dice, run: 7 },
      { ...dice, dependencies: null },
      { ...dice, owner: 'me' },
    ];
    for (const body of wrong) {
      const reply = await register(body);
      expect([body, reply.status, errorCode(reply)]).to.deep.equal([body, 400, 'INVALID_REQUEST']);
    }
    expect(errorCode(await register({ ...dice, name: '_x' }))).to.equal('INVALID_NAME');
    expect((await api().get('/runtimes')).json).to.deep.equal(['pythonruntime']);
  });

  it('that are unknown are 404', async () => {
    for (const method of ['GET', 'DELETE']) {
      const reply = await api().send(method, '/runtimes/none');
      expect([reply.status, errorCode(reply)]).to.deep.equal([404, 'RUNTIME_NOT_FOUND']);
    }
  });

  it('that are bundled cannot be deleted', async () => {
    const reply = await api().send('DELETE', '/runtimes/pythonruntime');
    expect([reply.status, errorCode(reply)]).to.deep.equal([403, 'FORBIDDEN']);
  });

  it('cannot be deleted while a function uses them', async () => {
    await register(dice);
    await api().upload('roll', tarGz([{ name: 'test.py' }]));
    const reply = await api().send('DELETE', '/runtimes/pythonruntime');
    expect([reply.status, errorCode(reply)]).to.deep.equal([409, 'RUNTIME_IN_USE']);
    await api().send('DELETE', '/functions/roll');
    expect((await api().send('DELETE', '/runtimes/pythonruntime')).status).to.equal(204);
  });

  it('that are replaced serve the versions registered afterwards', async () => {
    await register(dice);
    await api().upload('roll', tarGz([{ name: 'test.py' }]));
    await register({ ...dice, run: 'python3 new.py' });
    const runs = async (): Promise<string | undefined> => {
      const { spec } = await api().functions.active(PUBLIC_OWNER, 'roll');
      return spec.kind === 'runtime' ? spec.runtime.run : undefined;
    };
    expect(await runs()).to.equal('python3 test.py');
    await api().put('/functions/roll', { memoryMb: 64 });
    expect(await runs()).to.equal('python3 test.py');
    await api().upload('roll', tarGz([{ name: 'test.py' }]));
    expect(await runs()).to.equal('python3 new.py');
  });
});
