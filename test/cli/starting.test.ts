import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { readConfig } from '@panal/protocol';
import { freeAddresses } from '../../cli/src/free-addresses.js';
import { Cluster } from '../../testkit/cluster.js';
import { temporaryFolder } from '../support/folder.js';
import { freePorts } from '../../testkit/ports.js';
import { PanalRun } from './panal.js';

describe('Starting a cluster with panal up', function () {
  this.slow(10_000);
  const folder = temporaryFolder();
  const runs: PanalRun[] = [];

  function up(env: Record<string, string>, ...args: string[]): PanalRun {
    const settings = { FAAS_SANDBOX: 'process', FAAS_GRACE_MS: '1000', FAAS_LOG_LEVEL: 'warn', ...env };
    const run = new PanalRun(['up', ...args], { cwd: folder(), env: settings });
    runs.push(run);
    return run;
  }

  /** Addresses of free ports, as a user sets them. */
  async function addresses(): Promise<Record<string, string>> {
    return { PORT: '0', ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${await freePorts()}` };
  }

  const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

  afterEach(async () => {
    for (const run of runs.splice(0)) {
      run.child.kill('SIGTERM');
      await run.end();
    }
  });

  it('greets with sandbox and runtimes also where credentials are needed, and with a call that has them', async () => {
    const run = up({ ...(await addresses()), FAAS_AUTH: 'required' });
    await run.says(/Ctrl-C stops everything/);
    expect(run.stdout).to.contain('sandbox   process (functions run as processes of this machine)');
    expect(run.stdout).to.contain('runtimes  noderuntime, pythonruntime');
    const url = /ready at (\S+)/.exec(run.stdout)?.[1] ?? '';
    const [register = ''] = /curl -X POST -u \S+ \S+\/register/.exec(run.stdout) ?? [];
    const user = /-u (\S+)/.exec(register)?.[1] ?? '';
    const headers = { Authorization: `Basic ${Buffer.from(user).toString('base64')}` };
    expect((await fetch(`${url}/register`, { method: 'POST', headers })).status).to.equal(200);
    expect((await fetch(`${url}/functions`, { headers })).status).to.equal(200);
  });

  it('puts out nothing but JSON with --json, the logs and the end as well', async () => {
    const run = up({ ...(await addresses()), FAAS_LOG_LEVEL: 'info' }, '--json');
    await run.says(/"msg":"ready"/);
    run.child.kill('SIGTERM');
    const { code, stdout, stderr } = await run.end();
    expect([code, stderr]).to.deep.equal([0, '']);
    const entries = lines(stdout).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(new Set(entries.map(({ process }) => process))).to.deep.equal(
      new Set(['broker', 'worker-1', 'panal']),
    );
    const ready = entries.find(({ msg }) => msg === 'ready');
    expect(ready).to.deep.include({ process: 'panal', runtimes: ['noderuntime', 'pythonruntime'] });
    expect(ready).to.have.nested.property('workers[0].sandbox', 'process');
  });

  it('ends in one line that names the broker, where one has the data folder', async () => {
    const first = up(await addresses());
    await first.says(/Ctrl-C stops everything/);
    const url = /ready at (\S+)/.exec(first.stdout)?.[1] ?? '';
    const { code, stdout, stderr } = await up(await addresses()).end();
    expect([code, stderr]).to.deep.equal([1, '']);
    expect(lines(stdout)).to.have.length(1);
    expect(stdout)
      .to.match(/FAAS_DATA_DIR \S+ is used by another broker \(process \d+ at /)
      .and.to.contain(url);
    expect((await fetch(`${url}/readyz`)).status).to.equal(200);
  });

  it('starts where a broker that was killed left its mark', async () => {
    await mkdir(join(folder(), '.panal/broker'), { recursive: true });
    await writeFile(join(folder(), '.panal/broker/broker.pid'), `process ${process.pid}\n`);
    await up(await addresses()).says(/Ctrl-C stops everything/);
  });

  describe('where another cluster has the ports', () => {
    let other: Cluster;
    before(async () => {
      other = await Cluster.start({ settings: { FAAS_SANDBOX: 'process' } });
    });
    after(() => other.stop());

    const joined = (): number => other.output.split('"msg":"worker connected"').length - 1;

    for (const [what, settings] of [
      ['the channels', () => ({ PORT: '0', ZMQ_BIND_ADDRESS: other.dispatchAddress })],
      ['the HTTP port', async () => ({ ...(await addresses()), PORT: new URL(other.url).port })],
    ] as const) {
      it(`ends when they are ${what}, names the variables, and starts no worker`, async () => {
        const before = joined();
        const { code, stdout } = await up(await settings()).end();
        expect(code).to.equal(2);
        expect(lines(stdout)).to.have.length(1);
        for (const name of ['PORT', 'ZMQ_BIND_ADDRESS', 'ZMQ_CONN_ADDRESS']) expect(stdout).to.contain(name);
        expect(before).to.equal(1);
        expect(joined()).to.equal(before);
      });
    }
  });
});

describe('The addresses of a cluster', () => {
  const servers: Server[] = [];

  async function occupy(port: number): Promise<void> {
    const server = createServer().listen(port, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
  }

  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('are the next free ones where others have them and the user chose none', async () => {
    const [http, channels] = [await freePorts(), await freePorts()];
    const config = { ...readConfig({}), PORT: http, ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${channels}` };
    expect(await freeAddresses({ HOME: '/', PORT: '' }, config)).to.equal(undefined);
    await occupy(http);
    // The port of the bundle channel: all three must be free.
    await occupy(channels + 2);
    const moved = await freeAddresses({}, config);
    expect(moved?.taken).to.deep.equal([http, channels]);
    const { PORT = '', ZMQ_BIND_ADDRESS = '', ZMQ_CONN_ADDRESS } = moved?.settings ?? {};
    expect(Number(PORT)).to.be.above(http);
    expect(Number(ZMQ_BIND_ADDRESS.split(':').at(-1))).to.be.above(channels + 2);
    expect(ZMQ_CONN_ADDRESS).to.equal(ZMQ_BIND_ADDRESS);
    await occupy(Number(PORT));
  });

  it('stay as the user set them', async () => {
    const port = await freePorts();
    await occupy(port);
    const config = { ...readConfig({}), PORT: port };
    expect(await freeAddresses({ ZMQ_CONN_ADDRESS: 'tcp://10.0.0.1:2000' }, config)).to.equal(undefined);
  });
});
