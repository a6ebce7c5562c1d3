import { expect } from 'chai';
import { curveKeyPair, Dealer, Push } from 'zeromq';
import { run } from '../../testkit/shell.js';
import { followProgress } from '../../worker/src/engine/progress.js';
import { withHosts, withHostsOfEngines } from '../support/groups.js';
import { Network } from '../../testkit/network.js';
import { TestRegistry } from '../support/registry.js';
import { SecondEngine } from '../support/second-engine.js';
import { eventually } from '../../testkit/wait.js';
import { SeveralHosts, SLOTS, type Call, type HostedWorker } from './several-hosts.js';

/** Past it a worker counts as lost. */
const LEASE_MS = 1000;
const SETTINGS = { FAAS_HEARTBEAT_MS: '200', FAAS_LEASE_MS: String(LEASE_MS), FAAS_BACKOFF_MS: '200' };
const BUNDLE_MB = 50;

/** Takes so long that no worker is given two calls before the other has one. */
const SAYS_HELLO = `
import time
def handler(params, context):
    time.sleep(0.3)
    return "hello"
`;
/** Says what the installation of its image left behind. */
const SAYS_MADE = SAYS_HELLO.replace('"hello"', 'open("made.txt").read()');
/** Each attempt takes its own time. */
const SAYS_ATTEMPT = `
import time
def handler(params, context):
    time.sleep(params["seconds"][context["attempt"] - 1])
    return context["attempt"]
`;

const workersOf = (calls: readonly Call[]): Set<unknown> => new Set(calls.map(({ worker }) => worker));
const statusesOf = (calls: readonly Call[]): unknown[] => [...new Set(calls.map(({ status }) => status))];
/** How calls ended, each way once. */
const endsOf = (calls: readonly Call[]): unknown[] => [
  ...new Set(calls.map(({ status, error, result }) => (status === 'DONE' ? result : JSON.stringify(error)))),
];

withHostsOfEngines('Several hosts with container engines', function () {
  this.slow(20_000);
  let hosts: SeveralHosts;
  let registry: TestRegistry;
  let two: HostedWorker;
  let three: HostedWorker;

  before(async () => {
    hosts = new SeveralHosts(Network.open());
    registry = await TestRegistry.start({ place: hosts.one });
    hosts.closers.add(() => registry.stop());
    const engines = [startEngine(hosts.two), startEngine(hosts.three)] as const;
    await hosts.startBroker(SETTINGS);
    [two, three] = await Promise.all([
      engines[0].then((engine) => startWorker(hosts.two, engine)),
      engines[1].then((engine) => startWorker(hosts.three, engine)),
    ]);
    // The other engine gets all that it needs from the registry.
    const engine = await engines[0];
    const images = 'python:3.12-slim example/reverse-string';
    await run('sh', '-c', `docker save ${images} | docker -H ${engine.host} load`);
    await publish(engine, 'example/reverse-string', 'reverse-string');
  });

  after(() => hosts.closers.close());

  async function startEngine(place: SeveralHosts['two']): Promise<SecondEngine> {
    const engine = await SecondEngine.start({ place, registry: registry.address });
    hosts.closers.add(() => engine.stop());
    return engine;
  }

  async function startWorker(host: SeveralHosts['two'], engine: SecondEngine): Promise<HostedWorker> {
    const settings = { DOCKER_HOST: engine.host, FAAS_REGISTRY: registry.address };
    return await hosts.startWorker(host, settings);
  }

  const unacknowledged = (worker: HostedWorker): number =>
    hosts.metric(worker, 'panal_outcomes_unacknowledged');

  /** Pushes an image of an engine, as an operator would. */
  async function publish({ docker }: SecondEngine, image: string, repository: string): Promise<void> {
    const repo = `${registry.address}/${repository}`;
    await docker.getImage(image).tag({ repo, tag: 'latest' });
    await followProgress(await docker.getImage(`${repo}:latest`).push({ authconfig: {} }));
  }

  it('run an image of the registry', async () => {
    const image = `${registry.address}/reverse-string`;
    expect((await hosts.panal.post('/registerFunction', { functionName: 'reverse', image })).status).to.equal(
      201,
    );
    const calls = await hosts.callAll('reverse', 'hello');
    expect(endsOf(calls)).to.deep.equal(['olleh\n']);
    expect(workersOf(calls)).to.deep.equal(new Set([two.id, three.id]));
  });

  it('run a handler in Python', async () => {
    await hosts.registerHandler('hello', SAYS_HELLO);
    const calls = await hosts.callAll('hello');
    expect(endsOf(calls)).to.deep.equal(['hello']);
    expect(workersOf(calls)).to.deep.equal(new Set([two.id, three.id]));
  });

  it('have the image of a function made by one worker, and pulled by the other', async () => {
    const maker = {
      name: 'maker',
      image: 'pythonruntime',
      path: '/ws',
      dependencies: 'cat /proc/sys/kernel/random/uuid > made.txt',
      run: 'cat made.txt',
      handler: 'exec python3 "$FAAS_RUNTIME_DIR/loop.py"',
    };
    expect((await hosts.panal.post('/registerRuntime', maker)).status).to.equal(201);
    await hosts.registerHandler('made-once', SAYS_MADE, { runtime: 'maker' });
    const calls = await hosts.callAll('made-once');
    expect(endsOf(calls)).to.have.length(1);
    expect(endsOf(calls)[0]).to.match(/^[0-9a-f-]{36}\n$/);
    expect(workersOf(calls)).to.deep.equal(new Set([two.id, three.id]));
    expect(await registry.tags('panal-function')).to.have.length(1);
  });

  it('are sent a bundle of 50 MB once each, as code or in an image', async () => {
    await hosts.registerHandler('large', SAYS_HELLO, { megabytes: BUNDLE_MB });
    let calls: Call[] = [];
    const received = await hosts.received(async () => (calls = await hosts.callAll('large')));
    expect(endsOf(calls)).to.deep.equal(['hello']);
    expect(workersOf(calls)).to.deep.equal(new Set([two.id, three.id]));
    for (const megabytes of received) expect(megabytes).to.be.within(BUNDLE_MB, 1.2 * BUNDLE_MB);
  });

  it('run again what ran on a host that is cut off, and use it again when it is back', async () => {
    await hosts.registerHandler('patient', SAYS_ATTEMPT);
    const quick = { seconds: [0.3, 0.3] };
    expect(workersOf(await hosts.callAll('patient', quick))).to.have.property('size', 2);
    // Until its host was given up; until after it is back.
    const ended = hosts.callAll('patient', { seconds: [2, 8] });
    await eventually('all of them run', async () => (await hosts.running(1)) === 2 * SLOTS);
    hosts.three.cut();
    await eventually('they run again', async () => (await hosts.running(2)) === SLOTS);
    await eventually('the first attempts have ended', () => unacknowledged(three) === SLOTS);
    hosts.three.heal();
    await eventually('their outcomes are handed in', () => unacknowledged(three) === 0);
    expect(await hosts.running(2)).to.equal(SLOTS);
    const outcomes = (await ended).map(({ result, attempts, worker }) => [result, attempts, worker]);
    expect(outcomes.filter(([, attempts]) => attempts === 1)).to.deep.equal(
      Array(SLOTS).fill(['1', 1, two.id]),
    );
    expect(outcomes.filter(([, attempts]) => attempts !== 1)).to.deep.equal(
      Array(SLOTS).fill(['2', 2, two.id]),
    );
    expect(workersOf(await hosts.callAll('patient', quick))).to.deep.equal(new Set([two.id, three.id]));
  });

  it('go on with what they have when the registry is away', async () => {
    await registry.pause();
    for (const name of ['made-once', 'reverse']) {
      const calls = await hosts.callAll(name, 'hello');
      expect(statusesOf(calls)).to.deep.equal(['DONE']);
      expect(workersOf(calls)).to.deep.equal(new Set([two.id, three.id]));
    }
    await registry.resume();
  });
});

withHosts('Several hosts without container engines', function () {
  this.slow(10_000);
  let hosts: SeveralHosts;

  before(async () => {
    hosts = new SeveralHosts(Network.open());
    await hosts.startBroker();
    const settings = { FAAS_SANDBOX: 'process' };
    await Promise.all([hosts.startWorker(hosts.two, settings), hosts.startWorker(hosts.three, settings)]);
  });

  after(() => hosts.closers.close());

  it('are sent a bundle of 50 MB once each', async () => {
    await hosts.registerHandler('large', SAYS_HELLO, { megabytes: BUNDLE_MB });
    let calls: Call[] = [];
    const received = await hosts.received(async () => (calls = await hosts.callAll('large')));
    expect(endsOf(calls)).to.deep.equal(['hello']);
    expect(workersOf(calls)).to.have.property('size', 2);
    for (const megabytes of received) expect(megabytes).to.be.within(BUNDLE_MB, 1.2 * BUNDLE_MB);
  });

  it('let in nobody with another key, on any channel', async () => {
    const { publicKey, secretKey } = curveKeyPair();
    const other = { FAAS_CURVE_CLIENT_PUBLIC: publicKey, FAAS_CURVE_CLIENT_SECRET: secretKey };
    const dispatch = Number(new URL(hosts.panal.url).port) + 1;
    for (const [offset, Socket] of [Dealer, Push, Dealer].entries()) {
      const knock = async (keys: SeveralHosts['keys']): Promise<string> => {
        const socket = new Socket({
          linger: 0,
          curveServerKey: keys.FAAS_CURVE_SERVER_PUBLIC,
          curvePublicKey: keys.FAAS_CURVE_CLIENT_PUBLIC,
          curveSecretKey: keys.FAAS_CURVE_CLIENT_SECRET,
        });
        const answer = handshake(socket);
        socket.connect(`tcp://${hosts.one.address}:${dispatch + offset}`);
        return await answer.finally(() => socket.close());
      };
      expect(await knock(hosts.keys)).to.equal('handshake');
      expect(await knock({ ...hosts.keys, ...other })).to.equal('handshake:error:auth');
    }
  });
});

/** What comes of it when the socket connects. */
async function handshake(socket: Dealer | Push): Promise<string> {
  return await new Promise((resolve) => {
    for (const type of ['handshake', 'handshake:error:auth', 'handshake:error:protocol'] as const) {
      socket.events.on(type, () => resolve(type));
    }
  });
}
