import { expect } from 'chai';
import { PUBLIC_OWNER } from '@panal/protocol';
import { aCall, aFunction, anImageVersion, aRuntime, settled } from '../db/samples.js';
import { countedDatabase } from '../support/counted-database.js';
import { startedApi, type Reply } from './api.js';

/** As many as the default quota has; versions are 10,000, but those of other functions are no other case. */
const RUNTIMES = 1000;
const VERSIONS = 300;
const OTHERS_CALLS = 2000;
const COMMAND = `true ${'x'.repeat(60_000)}`;
const ENV = { TEXT: 'y'.repeat(30_000) };

const owner = PUBLIC_OWNER;

/** What a request may read besides a few times what it returns: an index block or two, and records it looks at. */
const FEW_BYTES = 256 * 1024;

describe('What a request costs', () => {
  const reads = { bytes: 0 };
  const api = startedApi({ database: countedDatabase(reads) });

  async function bytesFor(request: () => Promise<Reply>): Promise<{ read: number; reply: Reply }> {
    const before = reads.bytes;
    const reply = await request();
    return { read: reads.bytes - before, reply };
  }

  beforeEach(async () => {
    const { store } = api();
    const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
    const runtimes = numbers(RUNTIMES).map((number) =>
      aRuntime(`runtime-${number}`, { owner, image: `image-${number}`, run: COMMAND, dependencies: COMMAND }),
    );
    await Promise.all(runtimes.map((runtime) => store.functions.putRuntime(runtime)));
    for (const version of numbers(VERSIONS)) {
      const made = anImageVersion('many', version);
      const spec = { ...made.spec, owner, settings: { ...made.spec.settings, env: ENV } };
      const record = aFunction('many', { owner, activeVersion: version, latestVersion: version });
      await store.functions.putFunction(record, { ...made, spec, settings: { env: ENV } });
    }
    const others = { owner: 'eve', funcName: 'other', result: new Uint8Array(10_000) };
    await Promise.all(
      numbers(OTHERS_CALLS).map((number) =>
        store.calls.settleCall(settled(aCall(number, { owner: 'eve' }), others)),
      ),
    );
    const mine = numbers(500).map((number) =>
      settled(aCall(OTHERS_CALLS + number, { owner, funcName: number === 7 ? 'rare' : 'often' })),
    );
    await Promise.all(mine.map((call) => store.calls.settleCall(call)));
  });

  it('is what it returns, however much is stored', async () => {
    const held = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [`runtime:image-${index * 100}`, 1]),
    );
    api().cluster.views = [
      {
        id: 'w',
        host: 'h',
        state: 'up',
        sandbox: 'docker',
        path: 'agent',
        slots: 1,
        lastHeartbeat: new Date(0).toISOString(),
        miniWorkers: [],
        holds: held,
      },
    ];
    for (const path of [
      '/workers',
      '/runtimes',
      '/runtimes/runtime-5',
      '/functions',
      '/functions/many',
      '/functions/many/versions',
      '/functions/many/versions?limit=3',
      '/calls',
      '/calls?limit=5',
      '/calls?status=PENDING',
      '/calls?status=RUNNING',
      '/calls?status=DEAD',
      '/calls?funcName=rare',
      '/calls?funcName=rare&status=DONE',
      '/calls?funcName=none',
      `/call/${OTHERS_CALLS + 7}`,
      '/call/1',
      '/metrics',
      '/readyz',
    ]) {
      const { read, reply } = await bytesFor(() => api().get(path));
      expect(reply.status, path).to.be.oneOf([200, 404]);
      expect(read, path).to.be.at.most(FEW_BYTES + 4 * reply.bytes.byteLength);
    }
  });

  it('is little when a version, a function or a runtime is deleted', async () => {
    for (const path of ['/functions/many/versions/5', '/functions/many', '/runtimes/runtime-5']) {
      const { read, reply } = await bytesFor(() => api().send('DELETE', path));
      expect(reply.status, path).to.equal(204);
      expect(read, path).to.be.at.most(2 * FEW_BYTES);
    }
  });

  it('comes in pages', async () => {
    const pages: unknown[] = [];
    let path: string | undefined = '/runtimes?limit=400';
    while (path !== undefined) {
      const reply: Reply = await api().get(path);
      pages.push(...(reply.json as string[]));
      path = /<(.*)>/.exec(reply.headers.get('link') ?? '')?.[1];
    }
    expect(pages).to.have.length(RUNTIMES + 1);
    expect(pages).to.deep.equal([...new Set(pages)].sort());
    const [first, next] = await Promise.all(
      ['limit=2', 'limit=2&after=2'].map((query) => api().get(`/functions/many/versions?${query}`)),
    );
    expect(first?.headers.get('link')).to.include('after=2');
    expect((next?.json as { version: number }[]).map(({ version }) => version)).to.deep.equal([3, 4]);
  });
});
