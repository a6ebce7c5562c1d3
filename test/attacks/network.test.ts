import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { curveKeyPair } from 'zeromq';
import { tarGz } from '../../testkit/archives.js';
import { withHostAndFirewall } from '../support/groups.js';
import { at, Network, type Host } from '../../testkit/network.js';
import { SecondEngine } from '../support/second-engine.js';
import { eventually } from '../../testkit/wait.js';
import type { Cluster } from '../../testkit/cluster.js';
import { engineCluster } from '../system/engine-cluster.js';
import { METADATA } from './table.js';

const FIREWALL = fileURLToPath(new URL('../../hub-deployment/firewall/panal-firewall', import.meta.url));
/** Bytes of ZMTP's greeting. */
const GREETING = 64;
/** Of a host on the network, and of the metadata service beside it. */
const SERVER = `require('http').createServer((_, answer) => answer.end('credentials')).listen(80)`;
const CONNECT = `const [host, port] = process.argv[1].split(':');
  require('net').connect(port, host).setTimeout(1000, () => process.exit(1)).on('error', () => process.exit(1))
    .on('connect', () => process.exit(0))`;

/** Each is told an address, or several. */
const FUNCTIONS = {
  reach:
    'for a in $(tr -d \\"); do nc -w 1 ${a%:*} ${a#*:} </dev/null >/dev/null 2>&1 && echo $a; done; true',
  // Greets as a worker without keys does (ZMTP 3, mechanism NULL), and counts the bytes that come back.
  greet:
    'a=$(tr -d \\"); { printf "\\377\\0\\0\\0\\0\\0\\0\\0\\001\\177\\003\\0NULL"; head -c 48 /dev/zero;' +
    ' printf "\\004\\031\\005READY\\013Socket-Type\\0\\0\\0\\006DEALER"; sleep 1; } | nc -w 2 ${a%:*} ${a#*:} | wc -c',
  ask: 'wget -O - http://$(tr -d \\")/functions 2>&1; true',
  listen: 'cat >/dev/null; while :; do nc -l -p 8080 -e true; done',
};

withHostAndFirewall('A function with a network', () => {
  let network: Network;
  let machine: Host;
  let cloud: Host;
  let server: ChildProcess;
  let engine: SecondEngine;
  let panal: Cluster;
  /** What of the machine and of its surroundings a function may look for. */
  let ports: string[];
  let elsewhere: string;
  const metadata = `${METADATA}:80`;

  before(async () => {
    network = Network.open();
    [machine, cloud] = [network.host(), network.host()];
    on(cloud, 'ip', 'address', 'add', `${METADATA}/32`, 'dev', 'eth0');
    on(machine, 'ip', 'route', 'add', METADATA, 'via', cloud.address);
    elsewhere = `${cloud.address}:80`;
    server = spawn(...at(cloud, [process.execPath, '-e', SERVER]), { stdio: 'ignore' });
    engine = await SecondEngine.start({ place: machine, firewall: true });
    await engine.load('busybox:latest');
    await startPanal();
    const first = Number(new URL(panal.url).port);
    ports = [0, 1, 2, 3].map((n) => `${machine.address}:${first + n}`);
    for (const [name, code] of Object.entries(FUNCTIONS)) await deploy(name, code);
  });
  after(async () => {
    await panal.stop();
    await engine.stop();
    server.kill();
    await once(server, 'exit');
    network.close();
  });

  it('reaches what its machine reaches, where nobody forbids it', async () => {
    expect(await reached([elsewhere, metadata, ...ports])).to.deep.equal([elsewhere, metadata, ...ports]);
  });

  it('gets nothing out of a broker with keys and passwords', async () => {
    const [http = '', ...channels] = ports;
    expect(await result('ask', http)).to.contain('401 Unauthorized');
    // Whoever may speak is told more.
    for (const channel of channels) {
      expect(Number(await result('greet', channel))).to.be.at.most(GREETING);
    }
  });

  it('does not reach the functions beside it', async () => {
    const { callNum } = (await panal.post('/invokeFunction', { funcName: 'listen', params: '' })).json;
    const address = await eventually('its neighbour listens', async () => {
      const addresses = (await bridged()).map((ip) => `${ip}:8080`);
      return addresses.find((each) => reaches(machine, each));
    });
    expect(await reached([address, elsewhere])).to.deep.equal([elsewhere]);
    await panal.request('DELETE', `/call/${String(callNum)}`);
  });

  it('reaches neither its machine nor the metadata address where the operator’s rules are applied', async () => {
    expect(() => firewall('check')).to.throw();
    firewall('apply');
    firewall('apply');
    firewall('check');
    expect(await reached([elsewhere, metadata, ...ports])).to.deep.equal([elsewhere]);
    firewall('remove');
    expect(() => firewall('check')).to.throw();
    expect(await reached([metadata])).to.deep.equal([metadata]);
  });

  async function startPanal(): Promise<void> {
    const [own, its] = [curveKeyPair(), curveKeyPair()];
    const keys = { FAAS_CURVE_SERVER_PUBLIC: own.publicKey, FAAS_CURVE_CLIENT_PUBLIC: its.publicKey };
    const settings = { FAAS_AUTH: 'required', FAAS_CURVE_SERVER_SECRET: own.secretKey, FAAS_ATTEMPTS: '1' };
    panal = await engineCluster({ ...keys, ...settings }, machine);
    const client = { FAAS_CURVE_CLIENT_SECRET: its.secretKey, DOCKER_HOST: engine.host };
    await panal.addWorker({ ...keys, ...client }, machine);
    const user = { email: 'ana@example.org', password: 'correct horse' };
    expect((await panal.post('/users', user)).status).to.equal(201);
    panal.headers = { authorization: `Basic ${btoa(`${user.email}:${user.password}`)}` };
    const runtime = { name: 'shell', image: 'busybox:latest', path: '/ws', run: 'sh test.sh' };
    expect((await panal.post('/registerRuntime', runtime)).status).to.equal(201);
  }

  async function deploy(name: string, content: string): Promise<void> {
    const bundle = tarGz([{ name: 'test.sh', content }]);
    const fields = { lifecycle: 'fresh', network: 'bridge' };
    const { status, text } = await panal.upload(
      `/registerFunction/shell/${name}`,
      bundle,
      'code.tar.gz',
      fields,
    );
    expect(status, text).to.equal(201);
  }

  async function result(funcName: string, params: string): Promise<string> {
    const { json } = await panal.post('/invokeFunction?wait=30', { funcName, params });
    expect(json, JSON.stringify(json)).to.include({ status: 'DONE' });
    return String(json.result);
  }

  /** Which of the addresses a function reaches. */
  async function reached(addresses: string[]): Promise<string[]> {
    return (await result('reach', addresses.join(' '))).split('\n').filter((line) => line !== '');
  }

  /** Addresses of the functions that run. */
  async function bridged(): Promise<string[]> {
    const containers = await engine.docker.listContainers();
    return containers.flatMap(({ NetworkSettings }) =>
      Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress),
    );
  }

  function firewall(command: string): void {
    const env = { ...process.env, DOCKER_HOST: engine.host };
    execFileSync(...at(machine, [FIREWALL, command]), { env, stdio: 'pipe' });
  }
});

function on(host: Host, ...command: string[]): void {
  execFileSync(...at(host, command), { stdio: 'pipe' });
}

function reaches(host: Host, address: string): boolean {
  return spawnSync(...at(host, [process.execPath, '-e', CONNECT, address])).status === 0;
}
