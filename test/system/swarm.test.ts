import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { makeKeys, makeRegistryLogin } from '../../broker/src/keys.js';
import { basic } from '../http/person.js';
import { tarGz } from '../../testkit/archives.js';
import { withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { SwarmStack } from './swarm-stack.js';

const HANDLER = 'def handler(params, context):\n    return {"sum": sum(params["numbers"])}\n';

/** Clients that call one after the other until they are told to stop. */
class Load {
  answered = 0;
  /** Requests that no broker took; each was made again. */
  refused = 0;
  readonly wrong: string[] = [];
  readonly #clients: Promise<void>[];
  #over = false;

  constructor(panal: SwarmStack, clients: number) {
    this.#clients = Array.from({ length: clients }, async () => {
      while (!this.#over) await this.#call(panal);
    });
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#clients);
  }

  /** With a key: whoever lost the answer asks again, and gets that of the same call. */
  async #call({ url, headers: credentials }: SwarmStack): Promise<void> {
    const headers = { ...credentials, 'Idempotency-Key': randomUUID() };
    for (;;) {
      try {
        const response = await fetch(new URL('/run/add', url), {
          method: 'POST',
          headers,
          body: '{"numbers":[1,2,3]}',
        });
        const text = await response.text();
        if (response.status === 503) throw new Error('stopping');
        if (response.status === 200 && text === '{"sum":6}') this.answered++;
        else this.wrong.push(`${response.status} ${text}`);
        return;
      } catch {
        this.refused++;
        await pause(50);
      }
    }
  }
}

withEngine('hub-deployment/swarm/docker-stack.yml', function () {
  this.timeout(600_000);
  this.slow(60_000);
  let secrets = '';
  let panal: SwarmStack;

  before(async () => {
    execFileSync(fileURLToPath(new URL('../images/build', import.meta.url)));
    secrets = await mkdtemp(join(tmpdir(), 'panal-test-'));
    panal = await SwarmStack.of(secrets);
    await makeKeys(secrets);
    await makeRegistryLogin(secrets, [panal.registry]);
    await panal.prepare();
  });
  after(async () => {
    await panal.remove();
    await rm(secrets, { recursive: true });
  });

  it('runs a broker and two workers, which know each other by their keys', async () => {
    await panal.deploy();
    await eventually('the broker answers', () => fetch(panal.url).then(Boolean, () => false), 60_000);
    expect((await panal.request('GET', '/workers')).status).to.equal(401);
    panal.headers = basic('ana', 'secret');
    expect((await panal.request('POST', '/register')).status).to.equal(200);
    await panal.workers(2);
    const image = { functionName: 'reverse', image: 'example/reverse-string' };
    expect((await panal.post('/registerFunction', image)).status).to.equal(201);
    expect((await panal.request('POST', '/run/reverse', 'hello')).text).to.equal('olleh\n');
    const code = tarGz([{ name: 'handler.py', content: HANDLER }]);
    const upload = '/registerFunction/pythonruntime/add';
    expect((await panal.upload(upload, code, 'add.tar.gz', { lifecycle: 'hot' })).status).to.equal(201);
    expect((await panal.request('POST', '/run/add', '{"numbers":[1,2,3]}')).text).to.equal('{"sum":6}');
  });

  it('shares images through a registry that lets in nobody but the workers', async () => {
    const list = `http://${panal.registry}/v2/panal-function/tags/list`;
    expect((await fetch(list)).status).to.equal(401);
    const runtime = { name: 'shell', image: 'busybox', path: '/ws', run: "sh -c 'cat made.txt'" };
    const registered = await panal.post('/registerRuntime', {
      ...runtime,
      dependencies: 'echo made > made.txt',
    });
    expect(registered.status).to.equal(201);
    const code = tarGz([{ name: 'hello.txt', content: panal.name }]);
    expect((await panal.upload('/registerFunction/shell/made', code, 'made.tar.gz')).status).to.equal(201);
    expect((await panal.request('POST', '/run/made', 'x')).text).to.equal('made\n');
    const { auths } = JSON.parse(await readFile(join(secrets, 'registry_auth'), 'utf8')) as {
      auths: Record<string, { auth: string }>;
    };
    const headers = { Authorization: `Basic ${auths[panal.registry]?.auth}` };
    await eventually('its image is pushed', async () => {
      const { tags } = (await (await fetch(list, { headers })).json()) as { tags?: string[] };
      return tags?.length === 1;
    });
  });

  it('brings its workers to other images, and no client notices', async () => {
    const load = new Load(panal, 4);
    await panal.update('worker', '2');
    await load.end();
    expect(load).to.deep.include({ wrong: [], refused: 0 });
    expect(load.answered).to.be.greaterThan(100);
    const image = `${panal.name}/workerfaas:2`;
    await eventually('the old workers have gone', async () => {
      const images = await panal.running('worker');
      return images.length === 2 && images.every((each) => each === image);
    });
  });

  it('brings its broker to another image, and every call has its result', async () => {
    const load = new Load(panal, 4);
    await panal.update('broker', '2');
    await panal.workers(2);
    const before = load.answered;
    await eventually('calls go on', () => load.answered > before + 100, 30_000);
    await load.end();
    expect(load.wrong).to.deep.equal([]);
    expect(await panal.running('broker')).to.deep.equal([`${panal.name}/brokerfaas:2`]);
    expect((await panal.request('POST', '/run/reverse', 'abc')).text).to.equal('cba\n');
  });

  it('scales', async () => {
    await panal.scale(3);
    await panal.workers(3);
  });
});
