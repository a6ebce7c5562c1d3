import { expect } from 'chai';
import { LiveBroker } from '../support/live-broker.js';
import { smallDisk } from '../support/small-disk.js';
import { eventually } from '../../testkit/wait.js';

describe('A broker on a full disk', () => {
  let broker: LiveBroker;
  afterEach(() => broker.stop());
  const disk = smallDisk(64);

  beforeEach(async () => {
    broker = await LiveBroker.start(disk().path);
    await broker.register('dice');
  });

  const ready = async (): Promise<{ status: number; problems?: string[] }> => {
    const answer = await fetch(`${broker.url}/readyz`);
    return { ...((await answer.json()) as object), status: answer.status };
  };
  const seen = (): Promise<unknown> =>
    eventually('the broker has seen it', async () =>
      (await ready()).problems?.join().includes('FAAS_DISK_FLOOR_MB'),
    );
  const post = (path: string, body: string | FormData): Promise<Response> =>
    fetch(broker.url + path, { method: 'POST', body });
  const invoke = (): Promise<Response> => post('/invokeFunction', JSON.stringify({ funcName: 'dice' }));

  it('accepts nothing, says so, goes on reading, and serves again by itself', async () => {
    const worker = await broker.scripted(2);
    expect(await broker.invoke('dice')).to.equal(1);
    const running = await worker.nextInvoke();
    await eventually('the broker is ready', async () => (await ready()).status === 200);

    await disk().fill();
    await seen();
    for (const request of [
      invoke(),
      post('/run/dice', 'x'),
      post('/registerRuntime', '{"image":"a","path":"/ws","run":"b"}'),
      post('/registerFunction/pythonruntime/other', new FormData()),
      post('/users', '{"email":"a@b","password":"long enough"}'),
    ]) {
      const refused = await request;
      const { error } = (await refused.json()) as { error: { code: string } };
      expect([refused.status, error.code]).to.deep.equal([503, 'STORE_UNAVAILABLE']);
      expect(Number(refused.headers.get('retry-after'))).to.be.at.least(1);
    }
    await worker.reply(running, { free: running.slot }, 'late');
    for (const path of ['/functions', '/functions/dice', '/call/1', '/calls', '/workers', '/metrics']) {
      expect((await fetch(broker.url + path)).status, path).to.equal(200);
    }

    await disk().free();
    await eventually('the broker is ready again', async () => (await ready()).status === 200);
    await eventually('the outcome is stored', async () => (await broker.call(1)).status === 'DONE');
    expect((await broker.call(1)).result).to.equal('late');
    expect((await invoke()).status).to.equal(202);
    expect(await worker.nextInvoke()).to.include({ callNum: 2 });
  });

  it('hands out no call whose outcome could not be stored', async () => {
    await broker.invoke('dice');
    await disk().fill();
    await seen();
    const worker = await broker.scripted(1);
    await worker.join();
    worker.say({ type: 'ready', slot: 0 });
    // A heartbeat later, all that could be handed out has been.
    await worker.hears('heartbeat');
    expect(worker.invokes).to.deep.equal([]);
    await disk().free();
    expect(await worker.nextInvoke()).to.include({ callNum: 1 });
  });

  it('is not ready while every worker is about to stop', async () => {
    expect((await ready()).problems).to.deep.equal(['no worker is connected']);
    const worker = await broker.scripted(1);
    expect((await ready()).status).to.equal(200);
    worker.say({ type: 'drain' });
    const { problems } = await eventually('the broker is not ready', async () => {
      const answer = await ready();
      return answer.status === 503 ? answer : undefined;
    });
    expect(problems).to.deep.equal(['every connected worker is about to stop']);
  });
});
