import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Docker from 'dockerode';
import { pino } from 'pino';
import { followProgress } from '../../worker/src/engine/progress.js';
import { NO_CLAIMS } from '../../worker/src/link/claim-client.js';
import { Credentials } from '../../worker/src/images/credentials.js';
import { Registry } from '../../worker/src/images/registry.js';
import { SharedImages } from '../../worker/src/images/shared-images.js';
import { Rig, runOnce, text } from '../docker/rig.js';
import { tarGz } from '../../testkit/archives.js';
import { withRegistry } from '../support/groups.js';
import { TestRegistry, VISITOR } from '../support/registry.js';
import { SecondEngine } from '../support/second-engine.js';
import { eventually } from '../../testkit/wait.js';
import type { Cluster } from '../../testkit/cluster.js';
import type { ManagedProcess } from '../../testkit/managed-process.js';
import { engineCluster } from './engine-cluster.js';

/** What the image of a function was made of is random, so that one made twice is told from one that was shared. */
const DEPENDENCIES = 'cat /proc/sys/kernel/random/uuid > made.txt';
const BUNDLED = 'ARG BASE=busybox:latest\nFROM ${BASE}\nRUN cat /proc/sys/kernel/random/uuid > /made\n';
const UUID = /^[0-9a-f-]{36}\n$/;

withRegistry('The registry of a cluster of two engines', function () {
  this.slow(20_000);
  const docker = new Docker();
  let registry: TestRegistry;
  let second: SecondEngine;
  let panal: Cluster;
  let settings: Record<string, string>;
  let one: ManagedProcess;
  let two: ManagedProcess | undefined;

  before(async () => {
    [registry, second] = await Promise.all([TestRegistry.start({ private: true }), SecondEngine.start()]);
    settings = {
      FAAS_REGISTRY: `${registry.address}/team`,
      FAAS_REGISTRY_AUTH: await registry.credentials(),
    };
    panal = await engineCluster({ FAAS_ATTEMPTS: '4', FAAS_BACKOFF_MS: '500' });
    await publish('busybox:latest', 'team/shell', '1');
    const runtime = { name: 'shell', image: `${registry.address}/team/shell:1`, path: '/ws' };
    const registered = await panal.post('/registerRuntime', {
      ...runtime,
      dependencies: DEPENDENCIES,
      // A shell of its own: the parameter is not a file to show.
      run: "sh -c 'cat made.txt'",
    });
    expect(registered.status).to.equal(201);
    one = await panal.addWorker(settings);
  });

  after(async () => {
    await panal.stop();
    for (const { RepoTags: tags } of await docker.listImages()) {
      for (const tag of tags ?? []) {
        if (tag.startsWith(registry.address)) await docker.getImage(tag).remove({ force: true });
      }
    }
    await second.stop();
    await registry.stop();
  });

  /** Pushes an image of this machine's engine, as an operator would. */
  async function publish(image: string, repository: string, tag: string): Promise<void> {
    const repo = `${registry.address}/${repository}`;
    await docker.getImage(image).tag({ repo, tag });
    await followProgress(await docker.getImage(`${repo}:${tag}`).push({ authconfig: VISITOR }));
  }

  async function register(name: string, runtime = 'shell', file = 'hello.txt'): Promise<void> {
    const code = tarGz([{ name: file, content: `print("${name}")\n` }]);
    const answer = await panal.upload(`/registerFunction/${runtime}/${name}`, code, 'code.tar.gz');
    expect(answer.status).to.equal(201);
  }

  async function run(name: string): Promise<Record<string, unknown>> {
    return (await panal.post('/invokeFunction?wait=60', { funcName: name })).json;
  }

  const startSecond = async (): Promise<ManagedProcess> =>
    await panal.addWorker({ ...settings, DOCKER_HOST: second.host });

  it('gets the image of a function from the engine that made it, with its digest', async () => {
    await register('made-once');
    const call = await run('made-once');
    expect(call).to.include({ status: 'DONE' });
    expect(call.result).to.match(UUID);
    await one.says('image pushed');
    expect(await registry.tags('team/panal-function')).to.have.length(1);
  });

  it('gives it to another engine, which does not make it again', async () => {
    const made = (await run('made-once')).result;
    await one.stop();
    two = await startSecond();
    const { status, result } = await run('made-once');
    expect([status, result]).to.deep.equal(['DONE', made]);
    const images = await second.docker.listImages();
    const digests = images.flatMap(({ RepoDigests: digest }) => digest ?? []);
    expect(digests.find((digest) => one.said.includes(digest.split('@')[1] ?? '-'))).to.contain(
      'panal-function@',
    );
    one = await panal.addWorker(settings);
  });

  it('has it made once when both engines need it at the same moment', async () => {
    await register('at-once', 'shell', 'other.txt');
    const calls = await Promise.all(Array.from({ length: 8 }, () => run('at-once')));
    expect(new Set(calls.map(({ status }) => status))).to.deep.equal(new Set(['DONE']));
    expect(new Set(calls.map(({ worker }) => worker))).to.have.property('size', 2);
    expect(new Set(calls.map(({ result }) => result))).to.have.property('size', 1);
  });

  it('shares what dependencies made, for versions whose code alone differs', async () => {
    const declared = {
      name: 'declared',
      image: `${registry.address}/team/shell:1`,
      path: '/ws',
      dependencies: DEPENDENCIES,
      dependencyFiles: ['packages.txt'],
      run: "sh -c 'cat made.txt'",
    };
    expect((await panal.post('/registerRuntime', declared)).status).to.equal(201);
    await register('first', 'declared');
    const { result } = await run('first');
    expect(result).to.match(UUID);
    await register('second', 'declared');
    const calls = await Promise.all(Array.from({ length: 8 }, () => run('second')));
    expect(new Set(calls.map(({ worker }) => worker))).to.have.property('size', 2);
    expect(new Set(calls.map((call) => call.result))).to.deep.equal(new Set([result]));
  });

  it('shares the images of bundled runtimes, so that one engine alone needs what they build upon', async () => {
    const [here, there] = [await Rig.make(), await Rig.make()];
    try {
      const runtimesDir = join(here.dataDir, 'runtimes');
      const image = `panal-test-${here.owner}`;
      await mkdir(join(runtimesDir, 'shell'), { recursive: true });
      const spec = { name: 'shell', image, path: '/ws', run: 'cat' };
      await writeFile(join(runtimesDir, 'shell', 'runtime.json'), JSON.stringify(spec));
      await writeFile(join(runtimesDir, 'shell', 'Dockerfile'), BUNDLED);
      const shared = {
        runtimesDir,
        registry: registry.address,
        credentials: await registry.credentials(),
      };
      const runOn = async (rig: Rig, engine: Docker): Promise<string> => {
        const driver = rig.driver('agent', engine, shared);
        await driver.open();
        const { result } = await runOnce(driver, await rig.shell('cat /made', { runtime: { image } }));
        return text(result);
      };
      const made = await runOn(here, docker);
      here.discard(image);
      await eventually('it is pushed', async () => {
        return (await registry.tags(`panal-${image}`).catch(() => [])).length === 1;
      });
      expect(made).to.match(UUID);
      expect(await runOn(there, second.docker)).to.equal(made);
    } finally {
      await here.remove();
      await there.remove();
    }
  });

  it('lets go on what runs when it is away, and what is new is tried again until it is back', async () => {
    await registry.pause();
    expect(await run('made-once')).to.include({ status: 'DONE' });
    await register('new', 'shell', 'new.txt');
    const { callNum } = (await panal.post('/invokeFunction', { funcName: 'new' })).json;
    await eventually('it is tried again', async () => {
      const { json } = await panal.request('GET', `/call/${String(callNum)}`);
      return typeof json.attempts === 'number' && json.attempts > 1;
    });
    await registry.resume();
    expect(await panal.settled(callNum)).to.include({ status: 'DONE' });
  });

  it('is named by a code of its own where it stays away', async () => {
    await registry.pause();
    await register('too-new', 'shell', 'too-new.txt');
    const { status, error } = await run('too-new');
    expect(status).to.equal('DEAD');
    expect(error).to.have.property('code', 'REGISTRY_UNAVAILABLE');
    await registry.resume();
  });

  it('gets what was made while it was away when it is back', async () => {
    const address = `${registry.address}/team`;
    const closing = new AbortController();
    const images = new SharedImages({
      docker,
      engine: 'here',
      registry: new Registry(address, docker, new Credentials(await registry.credentials())),
      claims: NO_CLAIMS,
      closing: closing.signal,
      retryMs: 10,
      log: pino({ level: 'silent' }),
    });
    await docker.getImage('busybox:latest').tag({ repo: `${address}/panal-kept`, tag: '1' });
    await registry.pause();
    await images.obtain('kept', '1', closing.signal, () => Promise.reject(new Error('it is there')));
    await registry.resume();
    await images.pushed();
    expect(await registry.tags('team/panal-kept')).to.deep.equal(['1']);
  });

  it('lets in no worker with wrong credentials', async () => {
    await Promise.all([one.stop(), two?.stop()]);
    const wrong = await registry.credentials({ username: 'ana', password: 'wrong' });
    const worker = await panal.addWorker({ ...settings, FAAS_REGISTRY_AUTH: wrong });
    await register('locked-out', 'shell', 'locked-out.txt');
    expect((await run('locked-out')).error).to.have.property('code', 'REGISTRY_UNAVAILABLE');
    await worker.stop();
    one = await panal.addWorker(settings);
  });

  it('does not hand out the code of a function as an image', async () => {
    const [tag] = await registry.tags('team/panal-function');
    const image = `${registry.address}/team/panal-function:${tag}`;
    expect((await panal.post('/registerFunction', { functionName: 'thief', image })).status).to.equal(201);
    expect((await run('thief')).error).to.have.property('code', 'IMAGE_NOT_FOUND');
  });
});
