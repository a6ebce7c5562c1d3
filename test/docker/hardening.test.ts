import { expect } from 'chai';
import Docker from 'dockerode';
import { networkMode } from '../../worker/src/engine/network.js';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import { withEngine, withSecondEngine } from '../support/groups.js';
import { SecondEngine } from '../support/second-engine.js';
import { call, Rig, runOnce, started, text, WAYS } from './rig.js';

for (const way of WAYS) {
  withEngine(`a function that means harm, by the way "${way}"`, () => {
    let rig: Rig;
    let driver: DockerDriver;

    before(async () => {
      rig = await Rig.make();
      ({ driver } = await rig.open(way));
    });
    after(async () => {
      await rig.remove();
    });

    const output = async (run: string): Promise<string> =>
      text((await runOnce(driver, await rig.shell(`exec 2>&1; ${run}`))).result);

    it('has no capabilities, and no way to new privileges', async () => {
      const status = await output('grep -E "Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs" /proc/self/status');
      const values = status.match(/\S+$/gm);
      expect(values).to.deep.equal([...Array<string>(5).fill('0000000000000000'), '1']);
    });

    it('has no network but its own loopback', async () => {
      expect(await output('ls /sys/class/net')).to.equal('lo\n');
      expect(await output('nc -w 2 1.1.1.1 80')).to.contain('unreachable');
    });

    it('cannot start more processes than its limit', async () => {
      const spec = await rig.shell(
        'i=0; while [ $i -lt 100 ]; do sleep 20 & i=$((i+1)); done; echo all started',
        { settings: { pids: 32 } },
      );
      const { status, result, logs } = await runOnce(driver, spec);
      expect(text(result)).not.to.contain('all started');
      expect(text(logs)).to.contain("can't fork");
      expect(status).to.equal('FAILED');
    });

    it('cannot outlive its call with a fork bomb', async () => {
      const spec = await rig.shell('bomb() { bomb | bomb & }; while :; do bomb; done', {
        settings: { pids: 32 },
      });
      await runOnce(driver, spec, call('', { timeoutMs: 500 }));
      expect(await rig.containers()).to.deep.equal([]);
    });

    it('sees the memory that it may take', async () => {
      const spec = await rig.shell(
        'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes',
        {
          settings: { memoryMb: 64 },
        },
      );
      expect(text((await runOnce(driver, spec)).result)).to.equal(`${64 * 1024 * 1024}\n`);
    });

    it('finds neither the stream of the worker nor a place on its disk', async () => {
      expect(await output('echo "socket=$FAAS_SOCKET"; ls /.panal/run')).not.to.match(/socket=.|^socket$/m);
      expect(await output('touch /.panal/run/file /.panal/agent')).to.match(/Read-only|No such file|denied/);
    });

    it('has the volumes that its image names in memory', async () => {
      const image = await rig.build('FROM busybox', 'VOLUME /data', 'CMD ["df", "/data"]');
      const { status, result } = await runOnce(driver, rig.image(image));
      expect(status).to.equal('DONE');
      expect(text(result)).to.match(/^tmpfs .* \/data\n$/m);
    });

    it('dumps no core', async () => {
      expect(await output('ulimit -c; ulimit -H -c')).to.equal('0\n0\n');
    });
  });
}

withEngine('the network of a function that asks for one', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.make();
  });
  after(() => rig.remove());

  it('is a bridge', async () => {
    const { driver } = await rig.open('agent');
    const spec = await rig.shell('ls /sys/class/net', { settings: { network: 'bridge' } });
    expect(text((await runOnce(driver, spec)).result)).to.contain('eth0');
  });

  it('is given back with a container that is removed while it starts', async () => {
    const { driver } = await rig.open('agent');
    const spec = await rig.shell('cat');
    const aborted = new AbortController();
    const prepared = await driver.prepare(spec, aborted.signal);
    const start = driver.start(prepared, 'fresh', aborted.signal);
    aborted.abort(new Error('no longer wanted'));
    expect(await start.catch((error: unknown) => error)).to.have.property('message', 'no longer wanted');
    expect(await rig.containers()).to.deep.equal([]);
    await (await started(driver, spec, 'fresh')).remove();
  });
});

withSecondEngine('the network of functions', () => {
  let engine: SecondEngine;
  before(async () => {
    engine = await SecondEngine.start();
  });
  after(() => engine.stop());

  it('is one, whoever asks for it first', async () => {
    const asked = Array.from({ length: 8 }, () => networkMode(engine.docker, 'bridge'));
    const [id, ...others] = new Set(await Promise.all(asked));
    expect(others).to.deep.equal([]);
    const all = await engine.docker.listNetworks();
    expect(all.filter(({ Name }) => Name === 'panal-functions').map(({ Id }) => Id)).to.deep.equal([id]);
  });

  it('has another interface on another engine of the same machine', async () => {
    const interfaceOf = async (docker: Docker): Promise<string | undefined> => {
      const network = docker.getNetwork(await networkMode(docker, 'bridge'));
      const inspected: Docker.NetworkInspectInfo = await network.inspect();
      return inspected.Options?.['com.docker.network.bridge.name'];
    };
    const [one, other] = [await interfaceOf(new Docker()), await interfaceOf(engine.docker)];
    expect(one).to.match(/^panal-/);
    expect(other).to.match(/^panal-/);
    expect(one).not.to.equal(other);
  });
});

withEngine('the installation of dependencies', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.make();
  });
  after(() => rig.remove());

  it("gets the function's environment and one proxy, of which its image keeps nothing", async () => {
    const proxy = 'http://proxy.invalid:3128';
    const driver = rig.driver('agent', rig.docker, { installation: { proxy } });
    await driver.open();
    const spec = await rig.shell('cat made.txt; env', {
      runtime: { dependencies: 'echo "$PIP_INDEX_URL $https_proxy" > made.txt' },
      settings: { env: { PIP_INDEX_URL: 'http://index.invalid/', https_proxy: 'http://own.invalid' } },
    });
    const shown = text((await runOnce(driver, spec)).result);
    expect(shown).to.contain('http://index.invalid/ http://127.0.0.1:3128\n');
    const { image } = await driver.prepare(spec, new AbortController().signal);
    expect(image.env.join()).not.to.match(/invalid/);
  });

  it('is stopped when it fills the disk', async () => {
    const driver = rig.driver('agent', rig.docker, { installation: { diskMb: 10 } });
    await driver.open();
    const dependencies = 'for i in 1 2 3; do head -c 8000000 /dev/zero > /var/$i; done; sleep 30';
    const spec = await rig.shell('cat', { runtime: { dependencies } });
    const failure = await driver.prepare(spec, new AbortController().signal).catch((error: unknown) => error);
    expect(failure).to.have.nested.property('error.code', 'DEPENDENCIES_FAILED');
    expect(failure).to.have.property('exitCode', 137);
  });
});
