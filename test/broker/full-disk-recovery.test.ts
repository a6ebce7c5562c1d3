import { randomBytes } from 'node:crypto';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { LiveBroker } from '../support/live-broker.js';
import { freePorts } from '../../testkit/ports.js';
import { smallDisk } from '../support/small-disk.js';
import { eventually } from '../../testkit/wait.js';

const MiB = 1024 * 1024;

interface Readiness {
  status: number;
  problems?: string[];
}

async function readiness(url: string): Promise<Readiness> {
  const answer = await fetch(`${url}/readyz`);
  return { ...((await answer.json()) as object), status: answer.status };
}

const problemsOf = async (url: string): Promise<string> => (await readiness(url)).problems?.join() ?? '';

async function errorOf(answer: Response): Promise<unknown> {
  return ((await answer.json()) as { error?: { code: string } }).error?.code;
}

/** Stores calls of 1 MiB that does not compress. */
async function fillWithCalls(broker: LiveBroker, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const answer = await fetch(`${broker.url}/run/dice`, { method: 'POST', body: randomBytes(MiB) });
    expect(answer.status).to.equal(200);
    await answer.arrayBuffer();
  }
}

describe('A broker with no byte left on its disk', () => {
  let broker: LiveBroker | undefined;
  afterEach(() => broker?.stop());
  const disk = smallDisk(64);

  const start = async (settings: Record<string, string> = {}): Promise<LiveBroker> =>
    (broker = await LiveBroker.start(disk().path, settings));
  const stop = async (): Promise<void> => {
    await broker?.stop();
    broker = undefined;
  };
  const callsOf = async ({ url }: LiveBroker): Promise<string[]> =>
    Object.keys((await (await fetch(`${url}/calls`)).json()) as object);

  it('removes what clients delete', async () => {
    const { url } = await start();
    for (const name of ['one', 'two', 'three']) await broker?.register(name);
    await eventually('it has its reserve', async () => (await statfs(disk().path)).bfree < 15_000);
    await disk().fill();
    for (const name of ['one', 'two']) {
      expect((await fetch(`${url}/functions/${name}`, { method: 'DELETE' })).status).to.equal(204);
    }
    expect(await (await fetch(`${url}/functions`)).json()).to.deep.equal(['three']);
    await stop();
    const again = await start();
    expect(await (await fetch(`${again.url}/functions`)).json()).to.deep.equal(['three']);
  });

  it('starts, serves reads, says so, frees space by retention, and heals', async () => {
    const before = await start();
    await before.worker();
    await before.register('dice');
    await fillWithCalls(before, 12);
    await stop();
    await disk().fill();
    const after = await start({ FAAS_CALLS_KEEP_MB: '1' });
    const { url } = after;
    expect((await fetch(`${url}/call/12`)).status).to.equal(200);
    expect(await problemsOf(url)).to.include('FAAS_DISK_FLOOR_MB');
    const refused = await fetch(`${url}/invokeFunction`, { method: 'POST', body: '{"funcName":"dice"}' });
    expect([refused.status, await errorOf(refused)]).to.deep.equal([503, 'STORE_UNAVAILABLE']);
    await eventually('retention removed calls', async () => (await callsOf(after)).length < 2);
    await eventually('the space is free again', async () => {
      const { bavail, bsize } = await statfs(disk().path);
      return bavail * bsize > 4 * MiB;
    });
    await disk().free();
    await eventually('its disk has room', async () => !(await problemsOf(url)).includes('disk'));
    expect((await fetch(`${url}/call/1`)).status).to.equal(404);
  });

  it('waits for space and says so, if it has not even a reserve', async () => {
    await start();
    await broker?.register('dice');
    await stop();
    await rm(join(disk().path, 'reserve'), { recursive: true });
    await disk().fill();
    const port = await freePorts();
    const url = `http://127.0.0.1:${port}`;
    const starting = start({ PORT: String(port) });
    await eventually('it answers', () =>
      fetch(`${url}/healthz`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    const { status, problems } = await readiness(url);
    expect([status, problems?.length]).to.deep.equal([503, 1]);
    expect(problems?.[0]).to.include('the disk of the store is full');
    const refused = await fetch(`${url}/functions`);
    expect([refused.status, await errorOf(refused)]).to.deep.equal([503, 'STORE_UNAVAILABLE']);
    expect(Number(refused.headers.get('retry-after'))).to.be.at.least(1);
    const gateway = await fetch(`${url}/functions/activate`, { method: 'POST' });
    expect(await gateway.json()).to.include({ status: 'error' });
    await disk().free();
    await starting;
    expect(await (await fetch(`${url}/functions`)).json()).to.deep.equal(['dice']);
  });
});

describe('A broker whose disk becomes full', () => {
  let broker: LiveBroker | undefined;
  afterEach(() => broker?.stop());
  const disk = smallDisk(64);

  it('keeps room for the outcomes of the calls that run', async () => {
    broker = await LiveBroker.start(disk().path, { FAAS_MAX_OUTPUT: String(16 * MiB) });
    const { url } = broker;
    await broker.register('dice');
    const worker = await broker.scripted(2);
    for (let n = 0; n < 2; n++) await broker.invoke('dice');
    const running = [await worker.nextInvoke(), await worker.nextInvoke()];
    await disk().fill(24 * MiB);
    await eventually('it has seen that', async () => (await problemsOf(url)).includes('2 calls that run'));
    const invoke = (): Promise<Response> =>
      fetch(`${url}/invokeFunction`, { method: 'POST', body: '{"funcName":"dice"}' });
    expect((await invoke()).status).to.equal(503);
    for (const call of running) await worker.reply(call, { free: call.slot }, 'done');
    await eventually('it is ready', async () => (await readiness(url)).status === 200);
    expect((await invoke()).status).to.equal(202);
  });
});

describe('A broker on a disk without inodes', () => {
  let broker: LiveBroker | undefined;
  afterEach(() => broker?.stop());
  const disk = smallDisk(64, { inodes: 400 });

  it('accepts nothing, says so, and serves again by itself', async () => {
    broker = await LiveBroker.start(disk().path);
    const { url } = broker;
    await broker.register('dice');
    await broker.scripted();
    const many = join(disk().path, 'many');
    await mkdir(many);
    let made = 0;
    while (
      await writeFile(join(many, String(made)), '').then(
        () => true,
        () => false,
      )
    )
      made++;
    expect(made).to.be.at.least(100);
    await eventually('it has seen that', async () => (await problemsOf(url)).includes('inodes'));
    const refused = await fetch(`${url}/run/dice`, { method: 'POST', body: 'x' });
    expect([refused.status, await errorOf(refused)]).to.deep.equal([503, 'STORE_UNAVAILABLE']);
    expect((await fetch(`${url}/functions/dice`, { method: 'DELETE' })).status).to.equal(204);
    await rm(many, { recursive: true });
    await eventually('it is ready', async () => (await readiness(url)).status === 200);
  });
});
