import { execFileSync } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { fileURLToPath } from 'node:url';
import { tarGz } from '../../testkit/archives.js';
import { withCompose, withPrometheus, withRegistry } from '../support/groups.js';
import { TestRegistry } from '../support/registry.js';
import { eventually } from '../../testkit/wait.js';
import { ComposeProject } from './compose-project.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HANDLER = 'def handler(params, context):\n    return {"sum": sum(params["numbers"])}\n';

const KINDS = ['container', 'network', 'volume', 'image'] as const;

/** What an engine has come to have since a moment. */
class Leftovers {
  readonly #panal: ComposeProject;
  readonly #earlier: ReadonlyMap<string, ReadonlySet<string>>;

  private constructor(panal: ComposeProject, earlier: ReadonlyMap<string, ReadonlySet<string>>) {
    this.#panal = panal;
    this.#earlier = earlier;
  }

  static async of(panal: ComposeProject): Promise<Leftovers> {
    const earlier = await Promise.all(KINDS.map(async (kind) => [kind, await panal.all(kind)] as const));
    return new Leftovers(panal, new Map(earlier));
  }

  async since(kind: (typeof KINDS)[number]): Promise<string[]> {
    return [...(await this.#panal.all(kind))].filter((id) => this.#earlier.get(kind)?.has(id) !== true);
  }
}

/** An image of the Prometheus of this machine, for the one that the compose file names is not to be had everywhere. */
async function prometheusImage(): Promise<string> {
  const image = 'panal-test-prometheus';
  const context = await mkdtemp(join(tmpdir(), 'panal-prometheus-'));
  try {
    const program = execFileSync('sh', ['-c', 'command -v prometheus'], { encoding: 'utf8' }).trim();
    await copyFile(program, join(context, 'prometheus'));
    const dockerfile =
      'FROM node:20-bookworm-slim\nCOPY prometheus /bin/prometheus\nENTRYPOINT ["/bin/prometheus"]\n';
    await writeFile(join(context, 'Dockerfile'), dockerfile);
    execFileSync('docker', ['build', '-q', '-t', image, context], {
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return image;
  } finally {
    await rm(context, { recursive: true });
  }
}

/** Runs functions of both kinds on as many workers as the compose file is scaled to. */
async function runsFunctions(panal: ComposeProject): Promise<void> {
  const image = { functionName: 'reverse', image: 'example/reverse-string' };
  expect((await panal.post('/registerFunction', image)).status).to.equal(201);
  const answer = await panal.request('POST', '/run/reverse', 'hello');
  expect(answer.text).to.equal('olleh\n');
  const code = tarGz([{ name: 'handler.py', content: HANDLER }]);
  const upload = '/registerFunction/pythonruntime/add';
  expect((await panal.upload(upload, code, 'add.tar.gz', { lifecycle: 'hot' })).status).to.equal(201);
  const sum = await panal.request('POST', '/run/add', '{"numbers":[1,2,3]}');
  expect(sum.text).to.equal('{"sum":6}');
}

/** The workers that serve as many calls at once as there are mini-workers. */
async function servingWorkers(panal: ComposeProject): Promise<Set<unknown>> {
  const workers = JSON.parse((await panal.request('GET', '/workers')).text) as { slots: number }[];
  const slots = workers.reduce((sum, each) => sum + each.slots, 0);
  const call = { funcName: 'reverse', params: 'x' };
  const calls = await Promise.all(
    Array.from({ length: slots }, () => panal.post('/invokeFunction?wait=60', call)),
  );
  return new Set(calls.map(({ json }) => json.worker));
}

/** A function whose dependencies make an image of its own, which goes to the cluster's registry. */
async function sharesImages(panal: ComposeProject): Promise<void> {
  const runtime = { name: 'shell', image: 'busybox', path: '/ws', run: "sh -c 'cat made.txt'" };
  const registered = await panal.post('/registerRuntime', {
    ...runtime,
    dependencies: 'echo made > made.txt',
  });
  expect(registered.status).to.equal(201);
  const code = tarGz([{ name: 'hello.txt', content: panal.name }]);
  expect((await panal.upload('/registerFunction/shell/made', code, 'made.tar.gz')).status).to.equal(201);
  expect((await panal.request('POST', '/run/made', 'x')).text).to.equal('made\n');
  await eventually('its image is pushed', async () => {
    const { tags } = (await (await fetch(`http://${panal.registry}/v2/panal-function/tags/list`)).json()) as {
      tags?: string[];
    };
    return tags?.length === 1;
  });
}

withCompose('docker-compose.yml', function () {
  this.timeout(600_000);
  this.slow(60_000);
  let panal: ComposeProject;
  let earlier: Leftovers;

  before(async () => {
    execFileSync(fileURLToPath(new URL('../images/build', import.meta.url)));
    panal = await ComposeProject.of('docker-compose.yml');
    earlier = await Leftovers.of(panal);
  });
  after(() => panal.down());

  it('builds and runs a broker, a worker and a registry from source', async () => {
    await panal.compose('up', '-d', '--force-recreate', '--build');
    await panal.workers(1);
    await runsFunctions(panal);
  });

  it('puts the images of functions into its registry', async () => {
    await sharesImages(panal);
  });

  it('makes images that say what they are, and whether they are well', async () => {
    for (const role of ['broker', 'worker']) {
      const [id = ''] = await panal.labelled('container', role);
      await eventually(`the ${role} is well`, async () => {
        return (await panal.docker('inspect', '-f', '{{.State.Health.Status}}', id)) === 'healthy';
      });
      const image = `${panal.name}/${role}faas`;
      const format = '{{index .Config.Labels "org.opencontainers.image.title"}} [{{.Config.User}}]';
      const user = role === 'broker' ? '1000:1000' : '';
      expect(await panal.docker('image', 'inspect', '-f', format, image)).to.equal(`${role}faas [${user}]`);
    }
    const workers = JSON.parse((await panal.request('GET', '/workers')).text) as { path: string }[];
    expect(workers.map(({ path }) => path)).to.deep.equal(['agent']);
  });

  it('scales to three workers, which all take calls', async () => {
    await panal.compose('up', '-d', '--no-recreate', '--scale', 'worker=3');
    await panal.workers(3);
    expect(await servingWorkers(panal)).to.have.property('size', 3);
  });

  it('keeps functions and calls when everything is made anew', async () => {
    await panal.compose('up', '-d', '--force-recreate', '--scale', 'worker=1');
    await panal.workers(1);
    expect((await panal.request('POST', '/run/reverse', 'abc')).text).to.equal('cba\n');
  });

  it('leaves nothing without a label behind when it is taken down, and with -v its images alone', async () => {
    const networked = { functionName: 'networked', image: 'example/reverse-string', network: 'bridge' };
    expect((await panal.post('/registerFunction', networked)).status).to.equal(201);
    expect((await panal.request('POST', '/run/networked', 'abc')).text).to.equal('cba\n');
    await panal.compose('down', '--timeout', '20');
    expect(await earlier.since('container')).to.deep.equal([]);
    expect(await earlier.since('network')).to.deep.equal([]);
    const volumes = await earlier.since('volume');
    expect(volumes).to.have.length(3);
    expect(await panal.labelled('volume')).to.have.members(volumes);
    for (const image of await earlier.since('image')) {
      const format = '{{json .RepoTags}} {{index .Config.Labels "panal.kind"}}';
      const shown = await panal.docker('image', 'inspect', '-f', format, image);
      // What compose built itself, and the layers in between, are not the worker's.
      if (shown.includes(`"${panal.name}/`) || shown.startsWith('[]')) continue;
      expect(shown).to.match(/ (function|runtime)$/);
    }
    await panal.compose('down', '--volumes');
    expect(await earlier.since('volume')).to.deep.equal([]);
  });
});

withPrometheus('docker-compose.yml, with its profile for monitoring', function () {
  this.timeout(600_000);
  this.slow(60_000);
  let panal: ComposeProject;

  before(async () => {
    panal = await ComposeProject.of('docker-compose.yml', {
      PANAL_PROMETHEUS_IMAGE: await prometheusImage(),
    });
  });
  after(async () => {
    await panal.down();
    await panal.docker('rmi', '-f', panal.env.PANAL_PROMETHEUS_IMAGE ?? '');
  });

  it('shows broker and workers in Prometheus, with the rules', async () => {
    // Grafana has no program here that could stand in for its image.
    const services = ['broker', 'worker', 'registry', 'prometheus'];
    const profile = ['--profile', 'monitoring'];
    await panal.compose(...profile, 'up', '-d', '--build', '--scale', 'worker=2', ...services);
    await panal.workers(2);
    const prometheus = `http://127.0.0.1:${panal.env.PANAL_PROMETHEUS_PORT ?? ''}`;
    const ask = async (path: string): Promise<unknown> => await (await fetch(prometheus + path)).json();
    await eventually(
      'all are scraped',
      async () => {
        const query = '/api/v1/query?query=count(up{job=~"panal-.*"}==1)';
        const answer = await ask(query).catch(() => undefined);
        return JSON.stringify(answer).includes('"3"]');
      },
      120_000,
    );
    expect(JSON.stringify(await ask('/api/v1/rules'))).to.contain('PanalBrokerDown');
  });
});

withRegistry('hub-deployment/faas/docker-compose.yml, with images that were pushed', function () {
  this.timeout(600_000);
  this.slow(60_000);
  let hub: TestRegistry;
  let panal: ComposeProject;

  before(async () => {
    hub = await TestRegistry.start();
    const namespace = `${hub.address}/acme`;
    panal = await ComposeProject.of('hub-deployment/faas/docker-compose.yml', {
      PANAL_NAMESPACE: namespace,
      PANAL_TAG: '9.9',
    });
    const args = ['run', 'images', '--', '--push', namespace, '--tag', '9.9'];
    execFileSync('npm', args, { cwd: ROOT, env: panal.env, stdio: ['ignore', 'ignore', 'pipe'] });
    await panal.docker('rmi', `${namespace}/brokerfaas:9.9`, `${namespace}/workerfaas:9.9`);
  });
  after(async () => {
    await panal.down();
    await hub.stop();
  });

  it('pulls and runs them', async () => {
    await panal.compose('up', '-d');
    await panal.workers(1);
    await runsFunctions(panal);
    await sharesImages(panal);
  });

  it('takes one worker more from a plain docker run while it serves, and scales', async () => {
    const [network = ''] = await panal.labelled('network');
    const labels = [`panal.cluster=${panal.name}`, 'panal.role=worker'].map((label) => `--label=${label}`);
    const socket = '/var/run/docker.sock:/var/run/docker.sock';
    const image = `${panal.env.PANAL_NAMESPACE ?? ''}/workerfaas:9.9`;
    await panal.docker('run', '-d', ...labels, '--network', network, '-v', socket, image);
    await panal.workers(2);
    await panal.compose('up', '-d', '--no-recreate', '--scale', 'worker=3');
    await panal.workers(4);
    expect(await servingWorkers(panal)).to.have.property('size', 4);
    expect(await panal.labelled('container', 'worker')).to.have.length(4);
    expect(await panal.labelled('volume')).to.have.length(3);
  });
});
