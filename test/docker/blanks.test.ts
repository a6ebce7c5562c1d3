import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeSpecSchema, type FunctionSpec, type SandboxSettings } from '@panal/protocol';
import { expect } from 'chai';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import type { RunRequest, RunResult } from '../../worker/src/contracts/run.js';
import type { Sandbox } from '../../worker/src/sandbox/sandbox.js';
import { DemandPolicy } from '../../worker/src/pool/preload.js';
import { SandboxPool } from '../../worker/src/pool/sandbox-pool.js';
import type { ArchiveEntry } from '../../testkit/archives.js';
import { withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { call, Rig, runOnce, shellRuntime, text } from './rig.js';

const never = new AbortController().signal;

/** As that of a bundled runtime: does nothing without `packages.txt`. */
const GUARDED = '[ ! -f packages.txt ] || cp packages.txt installed.txt';

interface Served {
  sandbox: Sandbox;
  preloaded: boolean;
  result: RunResult;
}

withEngine('blank sandboxes of a runtime', () => {
  let rig: Rig;
  let driver: DockerDriver;
  let pool: SandboxPool;
  let holds: Map<string, number>;
  let serial: number;

  beforeEach(async () => {
    rig = await Rig.make();
    driver = rig.driver('agent', rig.docker, { blanks: true });
    await driver.open();
    serial = 0;
    holds = new Map();
    pool = poolOf(driver);
  });
  afterEach(async () => {
    pool.close();
    await rig.remove();
  });

  const poolOf = (of: DockerDriver): SandboxPool =>
    new SandboxPool({
      driver: of,
      policy: new DemandPolicy(2),
      budget: { sandboxes: 4, memoryMb: 1000 },
      parallelStarts: 2,
      onHolds: (key, idle) => holds.set(key, idle),
      onError: () => undefined,
    });

  /** A function of its own, whose bundle says who it is. */
  const named = async (
    who: string,
    run = 'cat who.txt',
    settings: Partial<SandboxSettings> = {},
    options: { dependencies?: string; files?: ArchiveEntry[] } = {},
  ): Promise<FunctionSpec> => {
    const { dependencies = GUARDED, files = [] } = options;
    const spec = await rig.shell(run, {
      runtime: { dependencies },
      files: [{ name: 'who.txt', content: who }, ...files],
      settings: { memoryMb: 32, ...settings },
    });
    return { ...spec, id: `id-${who}-${serial++}` };
  };

  const serve = async (spec: FunctionSpec, request: Partial<RunRequest> = {}): Promise<Served> => {
    const shelf = pool.enter(spec);
    const sandbox = pool.take(shelf) ?? (await pool.acquire(shelf, await driver.prepare(spec, never), never));
    const { preloaded } = sandbox;
    const result = await sandbox.run(call('', request));
    pool.leave(shelf, sandbox, result.reusable);
    return { sandbox, preloaded, result };
  };

  const key = `runtime:${shellRuntime.image}`;
  const blankNames = async (): Promise<string[]> =>
    (await rig.containers()).filter((name) => name.startsWith('/panal-blank-'));

  /** Calls a function, after which one blank stands ready. */
  const warmUp = async (settings: Partial<SandboxSettings> = {}): Promise<string> => {
    expect((await serve(await named('first', 'cat who.txt', settings))).preloaded).to.be.false;
    pool.sweep();
    await eventually('a blank stands ready', () => holds.get(key) === 1);
    const [name = ''] = await blankNames();
    return name.slice(1);
  };

  it('serve the first call of the next function, with its code and environment', async () => {
    const blank = await warmUp();
    const spec = await named('second', 'cat who.txt; echo " $COLOUR $FAAS_PARAMS"; pwd', {
      env: { COLOUR: 'red' },
    });
    const { sandbox, preloaded, result } = await serve(spec, { env: { FAAS_PARAMS: '7' } });
    expect(sandbox.id).to.equal(blank);
    expect(preloaded).to.be.true;
    expect(text(result.result)).to.equal('second red 7\n/ws\n');
    const again = await serve(spec);
    expect(again.sandbox).to.equal(sandbox);
    expect(again.preloaded).to.be.false;
  });

  it('hold nothing of a function before, and are replaced when they are taken', async () => {
    const blank = await warmUp();
    expect(await readdir(join(rig.dataDir, 'sandboxes', rig.workerId, blank, 'code'))).to.deep.equal([]);
    const { Config } = await rig.docker.getContainer(blank).inspect();
    expect(Config.Labels).to.include({ 'panal.owner': '', 'panal.function': '' });
    await serve(await named('second'));
    await eventually('two stand ready', () => holds.get(key) === 2);
  });

  it('keep what a function writes to itself', async () => {
    await warmUp();
    const write = 'echo more >> who.txt; touch made; ls; cat who.txt';
    const spec = await named('second', write, { lifecycle: 'fresh' });
    const { preloaded, sandbox } = await serve(spec);
    expect(preloaded).to.be.true;
    const again = await serve(spec);
    expect(again.sandbox).not.to.equal(sandbox);
    expect(text(again.result.result)).to.equal('made\nwho.txt\nsecondmore\n');
    expect(text((await runOnce(driver, spec)).result)).to.equal('made\nwho.txt\nsecondmore\n');
    expect(text((await serve(await named('third', 'ls'))).result.result)).to.equal('who.txt\n');
  });

  it("get the function's limits", async () => {
    await warmUp({ memoryMb: 200, cpus: 1, pids: 64 });
    const spec = await named('second', 'cat who.txt', { memoryMb: 24, cpus: 0.5, pids: 20 });
    const { preloaded, sandbox } = await serve(spec);
    expect(preloaded).to.be.true;
    const { HostConfig } = await rig.docker.getContainer(sandbox.id).inspect();
    expect(HostConfig).to.include({ Memory: 24 << 20, MemorySwap: 24 << 20, NanoCpus: 5e8, PidsLimit: 20 });
    const eat = await named('third', 'exec tail /dev/zero', { memoryMb: 24 });
    await eventually('another stands ready', () => (holds.get(key) ?? 0) > 0);
    const killed = await serve(eat);
    expect(killed.preloaded).to.be.true;
    expect(killed.result.error?.code).to.equal('OUT_OF_MEMORY');
    expect(killed.result.error?.message).to.contain('24 MiB');
    await eventually('another stands ready', () => (holds.get(key) ?? 0) > 0);
    const more = await serve(
      await named('fourth', 'head -c 60000000 /dev/zero | tail | wc -c', { memoryMb: 200 }),
    );
    expect(more.preloaded).to.be.true;
    expect(text(more.result.result)).to.equal('60000000\n');
  });

  it('are not for functions whose dependencies do something', async () => {
    await warmUp();
    const files = [{ name: 'packages.txt', content: 'tools' }];
    const inside = await serve(await named('second', 'cat installed.txt', {}, { files }));
    expect(inside.preloaded).to.be.false;
    expect(text(inside.result.result)).to.equal('tools');
    const dependencies = 'echo tools > /etc/tools';
    const outside = await serve(await named('third', 'cat /etc/tools', {}, { dependencies }));
    expect(outside.preloaded).to.be.false;
    expect(text(outside.result.result)).to.equal('tools\n');
  });

  it('are not for bundles that take long to copy', async () => {
    await warmUp();
    const files = [{ name: 'large', content: 'x'.repeat(17 << 20) }];
    const { preloaded, result } = await serve(await named('second', 'cat who.txt', {}, { files }));
    expect(preloaded).to.be.false;
    expect(text(result.result)).to.equal('second');
  });

  it('are not for handlers, which start with the code in its place', async () => {
    const file = new URL('../../runtimes/python/runtime.json', import.meta.url);
    const runtime = runtimeSpecSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    const content = 'def handler(params, context): return __file__';
    const files = [{ name: 'handler.py', content }];
    const spec = await rig.shell('', { runtime, files, settings: { lifecycle: 'hot' } });
    const prepared = await driver.prepare(spec, never);
    expect(prepared.blanks).to.be.undefined;
    expect(prepared.code).to.be.a('string');
    const { result } = await runOnce(driver, spec, call('"x"'), 'hot');
    expect(text(result)).to.equal('/ws/handler.py');
  });

  it('are not for functions that want a network', async () => {
    await warmUp();
    const { preloaded, result } = await serve(await named('second', 'cat who.txt', { network: 'bridge' }));
    expect(preloaded).to.be.false;
    expect(text(result.result)).to.equal('second');
  });

  it('hide nothing that the image has where the code belongs', async () => {
    const image = await rig.build('FROM busybox', 'RUN mkdir /ws && echo own > /ws/own.txt');
    const spec = await rig.shell('cat own.txt hello.txt', { runtime: { image, dependencies: GUARDED } });
    const prepared = await driver.prepare(spec, never);
    expect(prepared.blanks).to.be.undefined;
    expect(text((await runOnce(driver, spec)).result)).to.equal('own\nhello\n');
  });

  it('are replaced by a start where they died', async () => {
    const blank = await warmUp();
    await rig.docker.getContainer(blank).kill();
    await eventually('its death is noticed', () => holds.get(key) === 0);
    const { preloaded, result } = await serve(await named('second'));
    expect(preloaded).to.be.false;
    expect(text(result.result)).to.equal('second');
  });

  it('are gone after the driver is closed', async () => {
    await warmUp();
    pool.close();
    await driver.close();
    expect(await rig.containers()).to.deep.equal([]);
    expect(await readdir(join(rig.dataDir, 'sandboxes'))).to.deep.equal([]);
  });

  it('that an earlier run left are removed at the start', async () => {
    await warmUp();
    pool = poolOf((driver = rig.driver('agent', rig.docker, { blanks: true })));
    await driver.open();
    expect(await rig.containers()).to.deep.equal([]);
    await warmUp();
  });

  it('are none where none are wanted, or the engine is elsewhere', async () => {
    const plain = rig.driver('agent');
    await plain.open();
    expect((await plain.prepare(await named('first'), never)).blanks).to.be.undefined;
    const remote = rig.driver('agent', await rig.remoteEngine(), { blanks: true });
    await remote.open();
    expect((await remote.prepare(await named('second'), never)).blanks).to.be.undefined;
  });
});
