import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { LiveBroker } from '../support/live-broker.js';
import { eventually } from '../../testkit/wait.js';

const KiB = 1024;

describe('The bytes of calls that wait, over HTTP and ZeroMQ', () => {
  const folder = temporaryFolder();
  let broker: LiveBroker;

  const start = async (): Promise<void> => {
    broker = await LiveBroker.start(folder(), {
      FAAS_PARAMS_MEMORY_MB: '1',
      FAAS_USER_QUEUE_MB: '3',
      FAAS_QUEUE_MB: '4',
    });
  };
  beforeEach(async () => {
    await start();
    await broker.register('dice');
  });
  afterEach(() => broker.stop());

  const text = (size: number, letter: string): string => letter.repeat(size - 2);
  const send = (body: string, user?: string): Promise<Response> => {
    const headers = { authorization: `Basic ${Buffer.from(`${user}:a fine password`).toString('base64')}` };
    const init = { method: 'POST', body, ...(user !== undefined && { headers }) };
    return fetch(`${broker.url}/invokeFunction`, init);
  };
  const invoke = (params: string, user?: string): Promise<Response> =>
    send(JSON.stringify({ funcName: 'dice', params }), user);

  it('are bounded for each owner, public too, and there is room again when calls ended', async () => {
    for (let call = 0; call < 6; call++) expect((await invoke(text(512 * KiB, 'x'))).status).to.equal(202);
    const refused = await invoke(text(512 * KiB, 'x'));
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    expect([refused.status, error.code]).to.deep.equal([429, 'QUEUE_FULL']);
    expect(error.message).to.include('FAAS_USER_QUEUE_MB');
    expect(Number(refused.headers.get('retry-after'))).to.be.at.least(1);
    expect((await invoke('small')).status).to.equal(429);
    const worker = await broker.scripted(1);
    await worker.reply(await worker.nextInvoke());
    await eventually('a call has ended', async () => (await broker.call(1)).status === 'DONE');
    expect((await invoke(text(512 * KiB, 'x'))).status).to.equal(202);
  });

  it('are on disk past a budget of memory, arrive whole, and are shown whole, also after a restart', async () => {
    const letters = ['a', 'b', 'c', 'd', 'e'];
    for (const letter of letters) expect((await invoke(text(512 * KiB, letter))).status).to.equal(202);
    for (let round = 0; round < 2; round++) {
      for (const [index, letter] of letters.entries()) {
        expect((await broker.call(index + 1)).params).to.equal(text(512 * KiB, letter));
      }
      const listed = (await (await fetch(`${broker.url}/calls?status=PENDING`)).json()) as object;
      expect(Object.values(listed)).to.have.length(5);
      await broker.stop();
      await start();
    }
    const worker = await broker.scripted(2);
    const left = new Set(letters);
    while (left.size > 0) {
      const next = await worker.nextInvoke();
      const letter = letters[next.callNum - 1] ?? '';
      expect(left.delete(letter), `call ${next.callNum}`).to.equal(true);
      expect(next.text === JSON.stringify(text(512 * KiB, letter)), `call ${next.callNum}`).to.equal(true);
      await worker.reply(next, { free: next.slot });
    }
    for (const [index] of letters.entries()) {
      await eventually('it has ended', async () => (await broker.call(index + 1)).status === 'DONE');
    }
    expect((await broker.call(5)).params).to.equal(text(512 * KiB, 'e'));
  });

  it('do not keep a call from being awaited', async () => {
    for (const letter of ['a', 'b']) await invoke(text(512 * KiB, letter));
    const answer = fetch(`${broker.url}/run/dice`, { method: 'POST', body: text(600 * KiB, 'z') });
    const worker = await broker.scripted(3);
    const run = await eventually('the call runs', () => worker.invokes.find(({ input }) => input === 'raw'));
    expect(run.text).to.equal(text(600 * KiB, 'z'));
    await worker.reply(run, {}, 'done');
    expect(await (await answer).text()).to.equal('done');
  });
});
