import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { Container } from 'dockerode';
import type { FunctionSpec, NetworkRange } from '@panal/protocol';
import type { Installation } from '../../worker/src/egress/installation.js';
import { FunctionError } from '../../worker/src/errors.js';
import { withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { Rig, runOnce, text, type Way } from './rig.js';

const LOOPBACK: NetworkRange = { address: '127.0.0.1', prefix: 32, family: 'ipv4' };
const PYTHON = 'python:3.12-slim';
const METADATA = 'http://169.254.169.254/';

const none = (): undefined => undefined;

withEngine('the network of dependencies in containers', function () {
  this.timeout(60_000);
  let rig: Rig;
  /** Stands for a registry, for the broker and for any other port of the machine. */
  let registry: Server;
  let port: number;
  let asked: string[];
  let neighbour: Container | undefined;
  let address: string;
  /** The machine, as containers on the bridge see it. */
  let gateway: string;

  before(async () => {
    rig = await Rig.make();
    registry = createServer(({ url = '' }, answer) => {
      asked.push(url);
      answer.end('package');
    }).listen(0, '0.0.0.0');
    await once(registry, 'listening');
    ({ port } = registry.address() as AddressInfo);
    neighbour = await rig.docker.createContainer({
      Image: 'busybox:latest',
      Cmd: ['httpd', '-f', '-p', '80'],
      HostConfig: { NetworkMode: 'bridge' },
    });
    await neighbour.start();
    const { bridge } = (await neighbour.inspect()).NetworkSettings.Networks;
    if (bridge === undefined) throw new Error('the neighbour is on no bridge');
    address = bridge.IPAddress;
    gateway = bridge.Gateway;
    await eventually(
      'the neighbour answers',
      async () => (await fetch(`http://${address}/`).catch(none)) !== undefined,
    );
  });
  beforeEach(() => {
    asked = [];
  });
  after(async () => {
    registry.close();
    await neighbour?.remove({ force: true });
    await rig.remove();
  });

  /** Opens a driver, and says how to run `dependencies` by it: what they printed, and why they ended. */
  async function opened(
    limits: Partial<Installation>,
    way: Way = 'agent',
  ): Promise<{ warnings: readonly string[]; run: (script: string) => Promise<string> }> {
    const docker = way === 'remote' ? await rig.remoteEngine() : rig.docker;
    const driver = rig.driver(way, docker, { installation: limits });
    const { warnings } = await driver.open();
    const run = async (script: string): Promise<string> => {
      const spec = await rig.shell('cat', {
        runtime: { image: PYTHON, dependencies: `(${script}) 2>&1; exit 9` },
      });
      const { signal } = new AbortController();
      const error = await driver.prepare(spec, signal).catch((reason: unknown) => reason);
      if (!(error instanceof FunctionError)) throw new Error(String(error));
      expect(error).to.include({ exitCode: 9 });
      return text(error.logs);
    };
    return { warnings, run };
  }

  const proxied = (url: string): string =>
    `unset no_proxy; python3 -c 'import urllib.request as r; print(r.urlopen("${url}", timeout=5).read())'`;
  const direct = (host: string, at: number): string =>
    `python3 -c 'import socket; socket.create_connection(("${host}", ${at}), 5); print("connected")'`;

  it('is a registry that the operator adds, by the proxy alone', async () => {
    const { run, warnings } = await opened({ networks: [LOOPBACK] });
    expect(warnings.join()).not.to.contain('`dependencies`');
    expect(await run(proxied(`http://127.0.0.1:${port}/simple/six`))).to.contain('package');
    expect(asked).to.deep.equal(['/simple/six']);
    for (const host of ['127.0.0.1', 'localhost', gateway]) {
      expect(await run(direct(host, port))).not.to.contain('connected');
    }
    expect(asked).to.have.lengthOf(1);
  });

  it('is neither the metadata address, nor the machine, nor the broker, nor a neighbour', async () => {
    const { run } = await opened({ cluster: ['127.0.0.1'] });
    const answers = [
      await run(proxied(METADATA)),
      await run(proxied(`http://${address}/`)),
      await run(proxied(`http://${gateway}:${port}/`)),
      await run(proxied(`http://127.0.0.1:${port}/`)),
    ];
    for (const answer of answers) expect(answer).to.contain('403');
    for (const [host, at] of [
      ['169.254.169.254', 80],
      [address, 80],
      [gateway, port],
    ] as const) {
      expect(await run(direct(host, at))).to.contain('unreachable');
    }
    expect(asked).to.deep.equal([]);
  });

  it('is only the hosts that the operator names', async () => {
    const { run } = await opened({ networks: [LOOPBACK], hosts: ['packages.example'] });
    expect(await run(proxied(`http://127.0.0.1:${port}/`))).to.contain('403');
    expect(asked).to.deep.equal([]);
  });

  it("is reached through the operator's proxy, if there is one", async () => {
    const { run } = await opened({ proxy: `http://127.0.0.1:${port}` });
    expect(await run(proxied('http://93.184.215.14/six'))).to.contain('package');
    expect(asked).to.deep.equal(['http://93.184.215.14/six']);
  });

  it('has a name for the loopback interface', async () => {
    expect(await (await opened({})).run('grep localhost /etc/hosts')).to.contain('127.0.0.1');
  });

  for (const [what, way, limits] of [
    ['the operator says so', 'agent', { network: 'none' }],
    ['the engine cannot mount the folder of the proxy', 'remote', {}],
  ] as const) {
    it(`is none where ${what}`, async () => {
      const { run, warnings } = await opened({ ...limits, networks: [LOOPBACK] }, way);
      expect(warnings.join().includes('`dependencies` have no network')).to.equal(way === 'remote');
      expect(await run('ls /sys/class/net; env'))
        .to.match(/^lo\n/)
        .and.not.match(/_proxy/i);
      expect(await run(direct(gateway, port))).to.contain('unreachable');
      expect(await run('grep localhost /etc/hosts')).to.contain('127.0.0.1');
      expect(asked).to.deep.equal([]);
    });
  }

  it('leaves nothing of itself in the image', async () => {
    const [installer, runner] = [rig.driver('agent'), rig.driver('engine')];
    for (const driver of [installer, runner]) await driver.open();
    // The engine itself leaves /sbin/docker-init.
    const list = 'find / /dev -xdev -not -path "/proc/*" -not -path "/sbin*" | sort';
    const plain = await rig.shell(list);
    const installed = await rig.shell(list, { runtime: { dependencies: 'true' } });
    await installer.prepare(installed, new AbortController().signal);
    const files = async (spec: FunctionSpec): Promise<string> => text((await runOnce(runner, spec)).result);
    expect(await files(installed)).to.equal(await files(plain));
  });

  it('is not that of the calls', async () => {
    const driver = rig.driver('agent');
    await driver.open();
    const spec = await rig.shell('ls /sys/class/net; cat /etc/hosts', {
      runtime: { dependencies: 'true' },
      settings: { network: 'bridge' },
    });
    const shown = text((await runOnce(driver, spec)).result);
    expect(shown).to.contain('eth0').and.contain('localhost');
  });

  it("is the engine's bridge where the operator wants that", async () => {
    const { run, warnings } = await opened({ network: 'bridge' }, 'remote');
    expect(warnings.join()).not.to.contain('`dependencies`');
    expect(await run('ls /sys/class/net')).to.contain('eth0');
  });
});
