import { expect } from 'chai';
import { tarGz } from '../../testkit/archives.js';
import { Cluster } from '../../testkit/cluster.js';
import { eventually } from '../../testkit/wait.js';

/** Ends at once if that is its parameter, else when it is killed. */
const CODE = 'import sys, time\nif "now" not in sys.stdin.read(): time.sleep(3600)\nprint("done", end="")';

describe('a worker that several share', () => {
  let cluster: Cluster;

  async function send(user: string, path: string, body: string | FormData): Promise<Response> {
    const authorization = `Basic ${Buffer.from(`${user}:a fine password`).toString('base64')}`;
    return await fetch(cluster.url + path, { method: 'POST', headers: { authorization }, body });
  }
  async function deploy(user: string, name: string, settings: Record<string, string> = {}): Promise<void> {
    const form = new FormData();
    for (const [field, value] of Object.entries(settings)) form.set(field, value);
    form.set(
      'module',
      new Blob([new Uint8Array(tarGz([{ name: 'test.py', content: CODE }]))]),
      'module.tar.gz',
    );
    expect((await send(user, `/registerFunction/pythonruntime/${name}`, form)).status).to.equal(201);
  }
  const accept = async (user: string, funcName: string): Promise<Response> =>
    await send(user, '/invokeFunction', JSON.stringify({ funcName }));
  async function running(user: string): Promise<number> {
    const authorization = `Basic ${Buffer.from(`${user}:a fine password`).toString('base64')}`;
    const answer = await fetch(`${cluster.url}/calls?status=RUNNING`, { headers: { authorization } });
    return Object.keys((await answer.json()) as object).length;
  }

  before(async () => {
    cluster = await Cluster.start({
      settings: {
        FAAS_SANDBOX: 'process',
        FAAS_SLOTS: '3',
        FAAS_WORKER_MEMORY_MB: '700',
        FAAS_GRACE_MS: '0',
      },
    });
    for (const user of ['ada', 'eve']) expect((await send(user, '/register', '')).status).to.equal(200);
  });
  after(async () => {
    await cluster.stop();
  });

  it('refuses a call that no worker could ever hold, and says why', async () => {
    await deploy('eve', 'huge', { memoryMb: '701' });
    const answer = await accept('eve', 'huge');
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect([answer.status, error.code]).to.deep.equal([422, 'NO_WORKER_FITS']);
    expect(error.message).to.contain('701').and.to.contain('700').and.to.contain('FAAS_WORKER_MEMORY_MB');
  });

  it('has a mini-worker for the next user while one runs calls without end', async () => {
    await deploy('ada', 'endless', { memoryMb: '64', timeoutMs: '3600000' });
    await deploy('eve', 'quick', { memoryMb: '64' });
    for (let call = 0; call < 6; call++) expect((await accept('ada', 'endless')).status).to.equal(202);
    await eventually('all but one mini-worker are taken', async () => (await running('ada')) === 2);
    for (let call = 0; call < 3; call++) {
      const answer = await send('eve', '/run/quick', 'now');
      expect([answer.status, await answer.text()]).to.deep.equal([200, 'done']);
      expect(await running('ada')).to.equal(2);
    }
  });

  it('runs as many calls at once as it has memory for, and smaller ones beside them', async () => {
    // 128 of 700 MiB are taken.
    await deploy('eve', 'large', { memoryMb: '600', timeoutMs: '3600000' });
    expect((await accept('eve', 'large')).status).to.equal(202);
    const answer = await send('eve', '/run/quick', 'now');
    expect([answer.status, await answer.text()]).to.deep.equal([200, 'done']);
    expect(await running('eve')).to.equal(0);
  });
});
