import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeSpecSchema, type RuntimeSpec } from '@panal/protocol';
import { expect } from 'chai';
import Docker from 'dockerode';
import { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import { FunctionError, PlatformError } from '../../worker/src/errors.js';
import type { ArchiveEntry } from '../../testkit/archives.js';
import { withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { call, Rig, runOnce, started, text } from './rig.js';

async function bundled(language: string): Promise<RuntimeSpec> {
  const file = new URL(`../../runtimes/${language}/runtime.json`, import.meta.url);
  return runtimeSpecSchema.parse(JSON.parse(await readFile(file, 'utf8')));
}

const HANDLERS: Record<string, ArchiveEntry> = {
  python: {
    name: 'handler.py',
    content: [
      'import os, time',
      'count = 0',
      'def handler(params, context):',
      '    global count',
      '    count += 1',
      '    print("call", context.callNum)',
      '    os.write(2, b"stray\\n")',
      '    if params == "die": os._exit(5)',
      '    if params == "sleep": time.sleep(60)',
      '    if params == "eat": return "x" * (1 << 30)',
      '    if params == "fail": raise ValueError("no good")',
      '    return {"count": count, "params": params}',
    ].join('\n'),
  },
  nodejs: {
    name: 'handler.mjs',
    content: [
      'import { writeSync } from "node:fs";',
      'let count = 0;',
      'export default async (params, context) => {',
      '  count++;',
      '  console.log("call", context.callNum);',
      '  writeSync(2, "stray\\n");',
      '  if (params === "die") process.exit(5);',
      '  if (params === "sleep") await new Promise((resolve) => setTimeout(resolve, 60_000));',
      '  if (params === "eat") for (const all = []; ; ) all.push(Buffer.alloc(1 << 24, 1));',
      '  if (params === "fail") throw new Error("no good");',
      '  return { count, params };',
      '};',
    ].join('\n'),
  },
};

for (const way of ['agent', 'remote'] as const) {
  for (const [language, file] of Object.entries(HANDLERS)) {
    withEngine(`a ${language} handler in a container, by the way "${way}"`, () => {
      let rig: Rig;
      let driver: DockerDriver;
      let runtime: RuntimeSpec;

      before(async () => {
        rig = await Rig.make();
        ({ driver } = await rig.open(way));
        runtime = await bundled(language);
        const { signal } = new AbortController();
        await driver.prepare(await hot(), signal);
      });
      after(async () => {
        await rig.remove();
      });

      const hot = (content = file.content ?? '') =>
        rig.shell('', { runtime, files: [{ ...file, content }], settings: { memoryMb: 96 } });

      it('keeps its process from call to call', async () => {
        const sandbox = await started(driver, await hot(), 'hot');
        const first = await sandbox.run(call('"a"'));
        const second = await sandbox.run(call('"b"'));
        await sandbox.remove();
        expect(JSON.parse(text(first.result))).to.deep.equal({ count: 1, params: 'a' });
        expect(JSON.parse(text(second.result))).to.deep.equal({ count: 2, params: 'b' });
        expect(second.reusable).to.be.true;
      });

      it('has what it prints in the logs of the call', async () => {
        const pieces: string[] = [];
        const onLog = (piece: Uint8Array): number => pieces.push(text(piece));
        const { logs } = await runOnce(driver, await hot(), call('1', { callNum: 7, onLog }), 'hot');
        expect(text(logs)).to.contain('call 7\n');
        expect(pieces.join('')).to.equal(text(logs));
      });

      it('fails a call and lives on when it throws', async () => {
        const sandbox = await started(driver, await hot(), 'hot');
        const { status, error, logs, reusable } = await sandbox.run(call('"fail"'));
        await sandbox.remove();
        expect(status).to.equal('FAILED');
        expect(error?.message).to.contain('no good');
        expect(text(logs)).to.contain('no good');
        expect(reusable).to.be.true;
      });

      it('is gone after a call that ends its process', async () => {
        const sandbox = await started(driver, await hot(), 'hot');
        const { status, error, reusable } = await sandbox.run(call('"die"'));
        expect(status).to.equal('FAILED');
        expect(error?.code).to.equal('FUNCTION_FAILED');
        expect(reusable).to.be.false;
        expect(await rig.containers()).to.deep.equal([]);
      });

      it('is gone after a call that runs past its time', async () => {
        const sandbox = await started(driver, await hot(), 'hot');
        const { status, reusable } = await sandbox.run(call('"sleep"', { timeoutMs: 300 }));
        expect(status).to.equal('TIMEOUT');
        expect(reusable).to.be.false;
        expect(await rig.containers()).to.deep.equal([]);
      });

      it('is told to have run out of memory', async () => {
        const { error } = await runOnce(driver, await hot(), call('"eat"'), 'hot');
        expect(error?.code).to.equal('OUT_OF_MEMORY');
      });

      it('tells its owner why it does not start', async () => {
        const error: unknown = await started(driver, await hot('this is no program'), 'hot').catch(
          (reason: unknown) => reason,
        );
        if (!(error instanceof FunctionError)) throw new Error('expected a FunctionError', { cause: error });
        expect(error.error.code).to.equal('START_FAILED');
        expect(error.exitCode).to.equal(1);
        expect(text(error.logs)).to.contain('SyntaxError');
        expect(await rig.containers()).to.deep.equal([]);
      });
    });
  }
}

withEngine('the containers of a worker', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = await Rig.make();
  });
  afterEach(async () => {
    await rig.remove();
  });

  const sockets = (): Promise<string[]> => readdir(join(rig.dataDir, 'sandboxes', rig.workerId));

  it('tell how calls reach their processes', async () => {
    expect((await rig.open('agent')).info).to.deep.equal({
      sandbox: 'docker',
      path: 'agent',
      capabilities: ['containers', 'images'],
      warnings: [],
    });
    const { info } = await rig.open('engine');
    expect(info.path).to.equal('engine');
    expect(info.warnings.join()).to.contain('agent');
  });

  it('are told of when they end by themselves', async () => {
    const { driver } = await rig.open('agent');
    const sandbox = await started(driver, await rig.shell('cat'), 'warm');
    let exits = 0;
    sandbox.onExit = () => exits++;
    await rig.docker.getContainer(sandbox.id).kill();
    await eventually('the exit is noticed', () => exits === 1);
  });

  it('are told of when they end by themselves, without the agent', async () => {
    const { driver } = await rig.open('engine');
    const sandbox = await started(driver, await rig.shell('cat'), 'warm');
    let exits = 0;
    sandbox.onExit = () => exits++;
    await rig.docker.getContainer(sandbox.id).kill();
    await eventually('the exit is noticed', () => exits === 1);
  });

  it('are gone after they were removed, once and again, and nobody is told of an exit', async () => {
    const { driver } = await rig.open('agent');
    const sandbox = await started(driver, await rig.shell('cat'), 'warm');
    let exits = 0;
    sandbox.onExit = () => exits++;
    expect(await sockets()).to.deep.equal([sandbox.id]);
    await Promise.all([sandbox.remove(), sandbox.remove()]);
    await sandbox.remove();
    expect(await rig.containers()).to.deep.equal([]);
    expect(await sockets()).to.deep.equal([]);
    expect(exits).to.equal(0);
  });

  it('fail as the platform does, when they are used after that', async () => {
    for (const way of ['agent', 'engine'] as const) {
      const { driver } = await rig.open(way);
      const sandbox = await started(driver, await rig.shell('cat'), 'warm');
      await sandbox.remove();
      const error: unknown = await sandbox.run(call()).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(PlatformError);
    }
  });

  it('end a call that runs while they are removed', async () => {
    const { driver } = await rig.open('agent');
    const sandbox = await started(driver, await rig.shell('echo up >&2; sleep 100'), 'warm');
    let up: () => void = () => undefined;
    const running = new Promise<void>((resolve) => (up = resolve));
    const result = sandbox.run(call('', { onLog: up }));
    await running;
    await sandbox.remove();
    expect((await result).status).to.equal('FAILED');
    expect((await result).reusable).to.be.false;
  });

  it('are gone after the driver is closed', async () => {
    const { driver } = await rig.open('agent');
    const spec = await rig.shell('cat');
    await Promise.all([started(driver, spec, 'warm'), started(driver, spec, 'warm')]);
    expect(await rig.containers()).to.have.length(2);
    await driver.close();
    expect(await rig.containers()).to.deep.equal([]);
    await driver.close();
  });

  it('that an earlier run left are removed at the start, and no others', async () => {
    const { driver: earlier } = await rig.open('agent');
    await started(earlier, await rig.shell('cat'), 'warm');
    const other = await rig.docker.createContainer({
      Image: 'busybox:latest',
      Labels: { 'panal.worker': `${rig.workerId}-2` },
    });
    await rig.open('agent');
    expect(await rig.containers()).to.deep.equal([]);
    expect(await sockets()).to.deep.equal([]);
    await other.remove();
  });

  it('that nobody accounts for are reclaimed, and no others', async () => {
    const { driver } = await rig.open('agent');
    const sandbox = await started(driver, await rig.shell('cat'), 'warm');
    const Labels = { 'panal.worker': rig.workerId, 'panal.kind': 'sandbox' };
    await rig.docker.createContainer({ Image: 'busybox:latest', Labels });
    const stray = join(rig.dataDir, 'sandboxes', rig.workerId, 'stray');
    await mkdir(stray);
    await writeFile(join(stray, 'socket'), '');
    await driver.reclaim();
    expect(await rig.containers()).to.deep.equal([`/${sandbox.id}`]);
    expect(await sockets()).to.deep.equal([sandbox.id]);
    expect(text((await sandbox.run(call('still here'))).result)).to.equal('still here');
  });

  it('do not keep an engine waiting that is not there', async () => {
    expect(await DockerDriver.answers(rig.docker)).to.be.true;
    expect(await DockerDriver.answers(new Docker({ socketPath: '/no/such/socket' }))).to.be.false;
  });
});
