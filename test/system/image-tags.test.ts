import { expect } from 'chai';
import Docker from 'dockerode';
import { followProgress } from '../../worker/src/engine/progress.js';
import { Rig } from '../docker/rig.js';
import { withRegistry } from '../support/groups.js';
import { tarGz } from '../../testkit/archives.js';
import { TestRegistry } from '../support/registry.js';
import { SecondEngine } from '../support/second-engine.js';
import type { Cluster } from '../../testkit/cluster.js';
import type { ManagedProcess } from '../../testkit/managed-process.js';
import { engineCluster } from './engine-cluster.js';

withRegistry('A tag that moves in its registry', function () {
  this.timeout(120_000);
  this.slow(20_000);
  const docker = new Docker();
  let rig: Rig;
  let registry: TestRegistry;
  let second: SecondEngine;
  let panal: Cluster;
  let worker: ManagedProcess;

  before(async () => {
    [rig, registry, second] = await Promise.all([Rig.make(), TestRegistry.start(), SecondEngine.start()]);
    panal = await engineCluster();
    worker = await panal.addWorker({});
  });

  after(async () => {
    await panal.stop();
    for (const id of await madeHere()) await docker.getImage(id).remove({ force: true });
    await rig.remove();
    await second.stop();
    await registry.stop();
  });

  /** Pushes an image that prints `says`, and leaves none of its name on the engine. */
  async function publish(name: string, says: string): Promise<void> {
    const repo = `${registry.address}/${name}`;
    await docker
      .getImage(await rig.build('FROM busybox:latest', `RUN echo ${says} > /version`, `CMD echo ${says}`))
      .tag({ repo, tag: '1' });
    await followProgress(await docker.getImage(`${repo}:1`).push({ authconfig: {} }));
    await docker.getImage(`${repo}:1`).remove();
  }

  /** Ids of the images of the test's registry, and before each those that were made upon it. */
  async function madeHere(): Promise<string[]> {
    const images = await docker.listImages({ all: true });
    const withChildren = (id: string): string[] => [
      ...images.filter(({ ParentId }) => ParentId === id).flatMap(({ Id }) => withChildren(Id)),
      id,
    ];
    const pulled = images.filter(({ RepoDigests: digests }) =>
      digests?.some((digest) => digest.startsWith(registry.address)),
    );
    return [...new Set(pulled.flatMap(({ Id }) => withChildren(Id)))];
  }

  async function register(functionName: string, image: string): Promise<void> {
    expect((await panal.post('/registerFunction', { functionName, image })).status).to.equal(201);
  }

  const run = async (funcName: string): Promise<Record<string, unknown>> =>
    (await panal.post('/invokeFunction?wait=60', { funcName })).json;

  const says = async (funcName: string): Promise<unknown> => (await run(funcName)).result;

  const digestOf = async (name: string): Promise<unknown> =>
    (await panal.request('GET', `/functions/${name}`)).json.imageDigest;

  it('gives each registration the image that it stood for then', async () => {
    const image = `${registry.address}/moves:1`;
    await publish('moves', 'first');
    await register('moves', image);
    expect(await digestOf('moves'), 'before the first call').to.equal(undefined);
    expect(await says('moves')).to.equal('first\n');
    const first = await digestOf('moves');
    expect(first).to.match(/^[^/]+\/moves@sha256:[0-9a-f]{64}$/);

    await publish('moves', 'second');
    expect(await says('moves')).to.equal('first\n');
    await register('moves', image);
    expect(await says('moves')).to.equal('second\n');
    const next = await digestOf('moves');
    expect(next)
      .to.match(/@sha256:/)
      .and.not.to.equal(first);
    const versions = await panal.request('GET', '/functions/moves/versions');
    expect(versions.json).to.have.nested.property('[0].imageDigest', first);
    expect(versions.json).to.have.nested.property('[1].imageDigest', next);

    await panal.request('PUT', '/functions/moves', JSON.stringify({ activeVersion: 1 }));
    expect(await says('moves')).to.equal('first\n');
    await panal.request('PUT', '/functions/moves', JSON.stringify({ memoryMb: 64 }));
    expect(await digestOf('moves'), 'after a change of the settings alone').to.equal(first);
    expect(await says('moves')).to.equal('first\n');
  });

  it('is the image of its version on an engine that never had it, too', async () => {
    await worker.stop();
    const there = await panal.addWorker({ DOCKER_HOST: second.host });
    try {
      expect(await says('moves')).to.equal('first\n');
    } finally {
      await there.stop();
      worker = await panal.addWorker({});
    }
  });

  it('is pinned for the functions of a runtime alike', async () => {
    const image = `${registry.address}/language:1`;
    await publish('language', 'first');
    const runtime = { name: 'language', image, path: '/ws', run: 'cat /version' };
    expect((await panal.post('/registerRuntime', runtime)).status).to.equal(201);
    const bundle = tarGz([{ name: 'code.txt', content: '' }]);
    await panal.upload('/registerFunction/language/one', bundle, 'code.tar.gz');
    expect(await says('one')).to.equal('first\n');
    const first = await digestOf('one');
    expect(first).to.match(/\/language@sha256:[0-9a-f]{64}$/);

    await publish('language', 'second');
    expect(await says('one')).to.equal('first\n');
    await panal.upload('/registerFunction/language/other', bundle, 'code.tar.gz');
    expect(await says('other')).to.equal('second\n');
    expect(await digestOf('other'))
      .to.match(/@sha256:/)
      .and.not.to.equal(first);
    await panal.request('PUT', '/functions/one', JSON.stringify({ memoryMb: 64 }));
    expect(await digestOf('one'), 'after a change of the settings alone').to.equal(first);
    expect(await says('one')).to.equal('first\n');
    await panal.upload('/registerFunction/language/one', bundle, 'code.tar.gz');
    expect(await says('one')).to.equal('second\n');
    const versions = await panal.request('GET', '/functions/one/versions');
    expect(versions.json).to.have.nested.property('[0].imageDigest', first);
  });

  it('has no digest in functions of a bundled runtime', async () => {
    await panal.upload(
      '/registerFunction/pythonruntime/snake',
      tarGz([{ name: 'test.py', content: 'print(1)' }]),
      'code.tar.gz',
    );
    expect(await says('snake')).to.equal('1\n');
    expect(await digestOf('snake')).to.equal(undefined);
  });

  it('is asked for in vain while the registry is away, and then the image here counts', async () => {
    await publish('away', 'here');
    await register('away', `${registry.address}/away:1`);
    expect(await says('away')).to.equal('here\n');
    await registry.pause();
    try {
      await register('away', `${registry.address}/away:1`);
      expect(await says('away')).to.equal('here\n');
    } finally {
      await registry.resume();
    }
  });

  it('may be of an image that is in no registry, which is then known by its id', async () => {
    const image = await rig.build('FROM busybox:latest', 'CMD echo local');
    await register('local', image);
    expect(await says('local')).to.equal('local\n');
    expect(await digestOf('local')).to.equal((await docker.getImage(image).inspect()).Id);
    await worker.stop();
    const there = await panal.addWorker({ DOCKER_HOST: second.host });
    try {
      const { error } = await run('local');
      expect(error).to.have.property('code', 'IMAGE_NOT_FOUND');
      expect(error).to.have.property('message').that.contains('in no registry and not on this worker');
    } finally {
      await there.stop();
      worker = await panal.addWorker({});
    }
  });
});
