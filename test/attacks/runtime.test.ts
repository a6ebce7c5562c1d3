import { expect } from 'chai';
import { withSecondEngine } from '../support/groups.js';
import { SecondEngine } from '../support/second-engine.js';
import { tarGz } from '../../testkit/archives.js';
import type { Cluster } from '../../testkit/cluster.js';
import { engineCluster } from '../system/engine-cluster.js';

/** The usual one, by a name of an operator's choice, as gVisor or Kata would have one. */
const RUNTIME = 'panal-test';

withSecondEngine('An OCI runtime of the operator’s choice', () => {
  let engine: SecondEngine;
  let panal: Cluster;
  const worker = (settings: Record<string, string>) =>
    panal.addWorker({ DOCKER_HOST: engine.host, FAAS_SLOTS: '2', ...settings });

  before(async () => {
    [engine, panal] = await Promise.all([
      SecondEngine.start({ runtime: `${RUNTIME}=runc` }),
      engineCluster({ FAAS_ATTEMPTS: '1' }),
    ]);
    // What the worker makes its image of the runtime from.
    await engine.load('python:3.12-slim');
    const handler = 'def handler(params, context): return [params, open("hello.txt").read()]\n';
    const code = 'import sys\nprint([sys.stdin.read(), open("hello.txt").read()])\n';
    const bundle = tarGz([
      { name: 'handler.py', content: handler },
      { name: 'test.py', content: code },
      { name: 'hello.txt', content: 'hello' },
    ]);
    for (const lifecycle of ['fresh', 'warm', 'hot']) {
      const path = `/registerFunction/pythonruntime/${lifecycle}`;
      expect((await panal.upload(path, bundle, 'code.tar.gz', { lifecycle })).status).to.equal(201);
    }
  });
  after(async () => {
    await panal.stop();
    await engine.stop();
  });

  it('that the engine does not have stops the worker, which names those it has', async () => {
    const failure = await worker({ FAAS_RUNTIME: 'runsc' }).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(Error);
    expect(String(failure)).to.match(
      /worker: FAAS_RUNTIME: the container engine has no runsc, only .*panal-test/,
    );
  });

  it('is not forgotten where there is no engine at all', async () => {
    const failure = await worker({ FAAS_RUNTIME: RUNTIME, FAAS_SANDBOX: 'process' }).catch(
      (error: unknown) => error,
    );
    expect(String(failure)).to.contain('FAAS_RUNTIME is set, but functions would run as processes');
  });

  it('starts the sandboxes of all lifecycles, which serve calls', async () => {
    const running = await worker({ FAAS_RUNTIME: RUNTIME, FAAS_PRELOAD: 'runtime' });
    for (const funcName of ['fresh', 'warm', 'hot', 'warm', 'hot']) {
      const { json } = await panal.post('/invokeFunction?wait=60', { funcName, params: 7 });
      expect(json, JSON.stringify(json)).to.include({ status: 'DONE', start: funcName });
      expect(json.result).to.match(/7.*hello/);
    }
    const containers = await engine.docker.listContainers();
    expect(containers).to.have.length.above(1);
    for (const { Id } of containers) {
      const { HostConfig } = await engine.docker.getContainer(Id).inspect();
      expect(HostConfig.Runtime).to.equal(RUNTIME);
    }
    expect(await running.stop()).to.equal(0);
    expect(await engine.docker.listContainers({ all: true })).to.deep.equal([]);
  });
});
