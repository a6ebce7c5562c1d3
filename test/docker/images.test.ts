import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import type { CacheEntry } from '../../worker/src/cache/cache-keeper.js';
import { FunctionError, PlatformError, Unprepared } from '../../worker/src/errors.js';
import { withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { call, Rig, runOnce, text } from './rig.js';

const { signal } = new AbortController();

async function failure(promise: Promise<unknown>): Promise<FunctionError | PlatformError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof FunctionError || error instanceof PlatformError) return error;
  throw new Error('expected it to fail as the function or the platform does', { cause: error });
}

withEngine('the image of a function', () => {
  let rig: Rig;
  let driver: DockerDriver;

  before(async () => {
    rig = await Rig.make();
    ({ driver } = await rig.open('agent'));
  });
  after(async () => {
    await rig.remove();
  });

  it('holds what its dependencies made, at the path of its code', async () => {
    const runtime = { path: '/srv/deep/code', dependencies: 'cat hello.txt > made.txt; id -u >> made.txt' };
    const { result } = await runOnce(driver, await rig.shell('cat made.txt; pwd', { runtime }));
    expect(text(result)).to.equal('hello\n0\n/srv/deep/code\n');
  });

  it('is made once, also where many ask at the same moment', async () => {
    const runtime = { dependencies: 'cat /proc/sys/kernel/random/uuid > made.txt' };
    const spec = await rig.shell('cat made.txt', { runtime, files: [{ name: 'once.txt' }] });
    const prepared = await Promise.all(Array.from({ length: 10 }, () => driver.prepare(spec, signal)));
    expect(new Set(prepared.map(({ image }) => image.id)).size).to.equal(1);
    const again = await driver.prepare({ ...spec, id: 'another', version: 2 }, signal);
    expect(again.image.id).to.equal(prepared[0]?.image.id);
  });

  it('is given up when it is not in use, and makes a sandbox of it ask to be prepared anew', async () => {
    const runtime = { dependencies: 'head -c 500000 /dev/zero > made.bin' };
    const spec = await rig.shell('wc -c < made.bin', { runtime, files: [{ name: 'cached.txt' }] });
    const prepared = await driver.prepare(spec, signal);
    const sandbox = await driver.start(prepared, 'warm', signal);
    const { id } = prepared.image;
    const entry = async (): Promise<CacheEntry | undefined> => {
      const { Size } = await rig.docker.getImage(id).inspect();
      const entries = (await Promise.all(driver.caches().map((cache) => cache.entries()))).flat();
      // That of this image: it alone adds so much to its runtime's.
      return entries.find(({ bytes }) => bytes >= 500_000 && bytes < Math.min(Size, 600_000));
    };
    const used = await entry();
    expect(await used?.usedAt()).to.be.closeTo(Date.now(), 60_000);
    expect(await used?.remove(), 'a container is made of it').to.equal(false);
    await sandbox.remove();
    expect(await (await entry())?.remove()).to.equal(true);
    expect(await failure(driver.start(prepared, 'warm', signal))).to.be.instanceOf(Unprepared);
    expect(text((await runOnce(driver, spec)).result)).to.equal('500000\n');
  });

  it('is not shared with another owner', async () => {
    const spec = await rig.shell('cat');
    const own = await driver.prepare(spec, signal);
    const other = await driver.prepare({ ...spec, owner: `${rig.owner}-2` }, signal);
    expect(other.image.id).not.to.equal(own.image.id);
    await rig.docker.getImage(other.image.id).remove({ force: true });
  });

  it('keeps modes, links and folders of the bundle, owned by root', async () => {
    const files = [
      { name: 'folder', type: 'directory' as const },
      { name: 'folder/run.sh', content: '#!/bin/sh\nid -u\n', mode: 0o755 },
      { name: 'link', type: 'symlink' as const, linkname: 'folder/run.sh' },
    ];
    const spec = await rig.shell('./link; stat -c "%u:%g %a %n" . folder', { files });
    expect(text((await runOnce(driver, spec)).result)).to.equal('0\n0:0 755 .\n0:0 755 folder\n');
  });

  it('fails with the output of dependencies that fail', async () => {
    const runtime = { dependencies: 'echo out; echo err >&2; exit 9' };
    const error = await failure(driver.prepare(await rig.shell('cat', { runtime }), signal));
    expect(error).to.be.instanceOf(FunctionError);
    expect(error.error.code).to.equal('DEPENDENCIES_FAILED');
    if (!(error instanceof FunctionError)) return;
    expect(error.exitCode).to.equal(9);
    expect(text(error.logs)).to.contain('out\n').and.to.contain('err\n');
  });

  it('has nothing left of dependencies that were given up', async () => {
    const runtime = { dependencies: 'sleep 100' };
    const spec = await rig.shell('cat', { runtime });
    const giveUp = new AbortController();
    const preparing = driver.prepare(spec, giveUp.signal);
    const ended = preparing.catch((error: unknown) => error);
    await eventually('its container is there', async () => (await rig.containers()).length === 1);
    giveUp.abort(new Error('given up'));
    expect(await ended).to.have.property('message', 'given up');
    await eventually('its container is removed', async () => (await rig.containers()).length === 0);
  });

  it('installs without the capabilities that it does not need', async () => {
    const runtime = {
      dependencies: 'grep CapEff /proc/self/status > made.txt; ls /sys/class/net >> made.txt',
    };
    const { result } = await runOnce(driver, await rig.shell('cat made.txt', { runtime }));
    // CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID; capabilities(7) numbers them 0, 1, 3, 6, 7.
    expect(text(result)).to.equal('CapEff:\t00000000000000cb\nlo\n');
  });

  it('keeps the user and the environment of its runtime', async () => {
    const image = await rig.build('FROM busybox:latest', 'USER 1000', 'ENV GIVEN=by-image');
    const spec = await rig.shell('id -u; echo $GIVEN; cat hello.txt', { runtime: { image } });
    expect(text((await runOnce(driver, spec)).result)).to.equal('1000\nby-image\nhello\n');
  });

  for (const image of ['example/no-such-image', 'no-such-registry.invalid/image:1', 'Not A Reference']) {
    it(`is unknown: ${image}`, async () => {
      const error = await failure(driver.prepare(rig.image(image), signal));
      expect(error).to.be.instanceOf(FunctionError);
      expect(error.error.code).to.equal('IMAGE_NOT_FOUND');
      expect(error.error.message).to.contain(image);
    });
  }

  it('is asked for again where the registry is in trouble', async () => {
    const error = await failure(driver.prepare(rig.image('127.0.0.1:9/image'), signal));
    expect(error).to.be.instanceOf(PlatformError);
    expect(error.error.code).to.equal('IMAGE_PULL_FAILED');
  });

  describe('in a registry', () => {
    let server: Server;
    let answer: number;
    let registry: string;
    before(async () => {
      server = createServer((request, response) => {
        response.statusCode = request.url === '/v2/' ? 200 : answer;
        response.setHeader('content-type', 'application/json');
        response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      registry = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    after(() => {
      server.close();
    });

    it('that does not have it is unknown', async () => {
      answer = 404;
      const error = await failure(driver.prepare(rig.image(`${registry}/image`), signal));
      expect(error.error.code).to.equal('IMAGE_NOT_FOUND');
    });

    it('that takes longer than a worker waits is told with the setting', async () => {
      const silent = createServer(() => undefined);
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      try {
        const impatient = rig.driver('agent', rig.docker, { prepareTimeoutMs: 200 });
        await impatient.open();
        const name = `127.0.0.1:${(silent.address() as AddressInfo).port}/image`;
        const { error } = await failure(impatient.prepare(rig.image(name), signal));
        expect(error.code).to.equal('IMAGE_PULL_FAILED');
        expect(error.message).to.contain('took more than 200 ms (FAAS_PREPARE_TIMEOUT_MS of the worker)');
      } finally {
        silent.closeAllConnections();
        silent.close();
      }
    });

    it('that fails is asked for again', async () => {
      answer = 503;
      const error = await failure(driver.prepare(rig.image(`${registry}/image`), signal));
      expect(error.error.code).to.equal('IMAGE_PULL_FAILED');
    });
  });
});

withEngine('the image of a bundled runtime', () => {
  let rig: Rig;
  let runtimesDir: string;
  let image: string;

  before(async () => {
    rig = await Rig.make();
    runtimesDir = join(rig.dataDir, 'runtimes');
    image = `panal-test/${rig.owner}-bundled`;
    await mkdir(join(runtimesDir, 'shell', 'examples'), { recursive: true });
    await bundle('runtime.json', JSON.stringify({ name: 'shell', image, path: '/ws', run: 'cat' }));
    await bundle('loop.sh', 'first');
    await bundle('Dockerfile', 'ARG BASE=busybox:latest\nFROM ${BASE}\nCOPY . /opt/panal/\n');
    await bundle('README.md', 'about');
    await bundle('examples/test.sh', 'example');
  });
  after(async () => {
    rig.discard(image);
    await rig.remove();
  });

  const bundle = (name: string, content: string): Promise<void> =>
    writeFile(join(runtimesDir, 'shell', name), content);

  async function look(): Promise<string> {
    const driver = rig.driver('agent', rig.docker, { runtimesDir });
    await driver.open();
    const spec = await rig.shell('cd /opt/panal; ls; cat loop.sh', { runtime: { image } });
    return text((await runOnce(driver, spec, call())).result);
  }

  it('is built when first needed, without its examples', async () => {
    expect(await look()).to.equal('Dockerfile\nloop.sh\nfirst');
  });

  it('is built anew when something in it changed', async () => {
    const { Id } = await rig.docker.getImage(image).inspect();
    await bundle('README.md', 'more about');
    await look();
    expect((await rig.docker.getImage(image).inspect()).Id).to.equal(Id);
    await bundle('loop.sh', 'second');
    expect(await look()).to.equal('Dockerfile\nloop.sh\nsecond');
    rig.discard(Id);
  });

  it('is left as it is where somebody made it himself', async () => {
    const own = await rig.build(
      'FROM busybox:latest',
      'RUN mkdir -p /opt/panal && echo own > /opt/panal/loop.sh',
    );
    await rig.docker.getImage(own).tag({ repo: image, tag: 'latest' });
    expect(await look()).to.equal('loop.sh\nown\n');
    await bundle('loop.sh', 'third');
    expect(await look()).to.equal('loop.sh\nown\n');
  });

  it('names its base where that is not to be had', async () => {
    await rig.docker.getImage(image).remove({ force: true });
    await bundle('Dockerfile', 'ARG BASE=example/no-such-base\nFROM ${BASE}\n');
    const error = await failure(look());
    expect(error.error.code).to.equal('IMAGE_NOT_FOUND');
    expect(error.error.message).to.contain('example/no-such-base').and.to.contain('--build-arg BASE=');
  });
});
