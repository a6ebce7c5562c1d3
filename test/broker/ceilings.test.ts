import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { zip } from '../../testkit/archives.js';
import { LiveBroker } from '../support/live-broker.js';

const CEILINGS = {
  FAAS_MAX_MEMORY_MB: '128',
  FAAS_MAX_CPUS: '2',
  FAAS_MAX_PIDS: '64',
  FAAS_MAX_TIMEOUT_MS: '30000',
};
const PAST = [
  ['memoryMb', 129, 'FAAS_MAX_MEMORY_MB'],
  ['cpus', 2.5, 'FAAS_MAX_CPUS'],
  ['pids', 65, 'FAAS_MAX_PIDS'],
  ['timeoutMs', 30_001, 'FAAS_MAX_TIMEOUT_MS'],
] as const;
const WITHIN = { memoryMb: 128, cpus: 2, pids: 64, timeoutMs: 30_000 };

describe('the ceilings of an operator', () => {
  const folder = temporaryFolder();
  let broker: LiveBroker;

  const start = async (settings: Record<string, string>): Promise<void> => {
    broker = await LiveBroker.start(folder(), settings);
  };
  const send = async (method: string, path: string, body: object): Promise<Response> =>
    await fetch(broker.url + path, { method, body: JSON.stringify(body) });
  const show = async (name: string): Promise<unknown> =>
    await (await fetch(`${broker.url}/functions/${name}`)).json();
  const refusal = async (answer: Response): Promise<[number, string]> => {
    const { error } = (await answer.json()) as { error: { message: string } };
    return [answer.status, error.message];
  };

  afterEach(async () => {
    await broker.stop();
  });

  it('refuse every setting past its own, however the function is registered or changed', async () => {
    await start(CEILINGS);
    expect(
      (await send('POST', '/registerFunction', { functionName: 'f', image: 'i', ...WITHIN })).status,
    ).to.equal(201);
    for (const [name, value, ceiling] of PAST) {
      const form = new FormData();
      form.set(name, String(value));
      form.set('module', new Blob([new Uint8Array(zip([{ name: 'test.py', content: '' }]))]), 'module.zip');
      const answers = [
        await send('POST', '/registerFunction', { functionName: 'g', image: 'i', [name]: value }),
        await send('PUT', '/functions/f', { [name]: value }),
        await fetch(`${broker.url}/registerFunction/pythonruntime/g`, { method: 'POST', body: form }),
      ];
      for (const answer of answers) {
        const [status, message] = await refusal(answer);
        expect(status, message).to.equal(400);
        expect(message).to.contain(name).and.to.contain(ceiling);
      }
    }
    expect(await show('f')).to.include({ ...WITHIN, version: 1 });
    expect((await fetch(`${broker.url}/functions/g`)).status).to.equal(404);
  });

  it('hold for the defaults, too', async () => {
    await start(CEILINGS);
    await broker.register('plain');
    expect(await show('plain')).to.include({ ...WITHIN, cpus: 1 });
  });

  it('that are lowered cap what was stored before: its next calls, and those that waited', async () => {
    await start({});
    const before = { memoryMb: '512', cpus: '4', pids: '100', timeoutMs: '60000' };
    await broker.register('f', before);
    const waiting = await broker.invoke('f');
    await broker.stop();

    await start(CEILINGS);
    expect(await show('f')).to.include({ ...WITHIN, version: 1 });
    const worker = await broker.scripted(2);
    const next = await broker.invoke('f');
    const invokes = [await worker.nextInvoke(), await worker.nextInvoke()];
    expect(invokes.map(({ callNum }) => callNum)).to.have.members([waiting, next]);
    const specs = invokes.flatMap(({ spec }) => spec ?? []);
    expect(specs.map(({ settings }) => settings)).to.have.length(1);
    expect(specs[0]?.settings).to.include(WITHIN);
    expect((await refusal(await send('PUT', '/functions/f', { env: {} })))[1]).to.contain('FAAS_MAX_');
    expect((await send('PUT', '/functions/f', WITHIN)).status).to.equal(200);
  });
});
