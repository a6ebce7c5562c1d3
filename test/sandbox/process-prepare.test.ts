import { readdir, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { CacheEntry } from '../../worker/src/cache/cache-keeper.js';
import { FunctionError, Unprepared } from '../../worker/src/errors.js';
import { imageSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';
import { openRig, ProcessRig } from './process-rig.js';
import { text } from './requests.js';
import { temporaryFolder } from '../support/folder.js';

const never = new AbortController().signal;

/** The FunctionError that `action` ends with. */
async function refusal(action: Promise<unknown>): Promise<FunctionError> {
  const error: unknown = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof FunctionError) return error;
  throw new Error(`not a FunctionError: ${String(error)}`);
}

describe('what the process driver prepares', () => {
  const rig = openRig(() => undefined);
  const kept = async (): Promise<string[]> => await readdir(join(rig().dataDir, 'functions'));
  let before: string[] = [];
  beforeEach(async () => {
    before = await kept();
  });

  it('runs `dependencies` in the unpacked bundle, once for an owner and a bundle', async () => {
    const runtime = { dependencies: 'cat code.txt > made.txt; date +%N >> made.txt', run: 'cat made.txt' };
    const made = { files: { 'code.txt': 'of the bundle ' }, runtime };
    const first = text((await rig().once('cat made.txt', {}, made)).result);
    expect(first).to.match(/^of the bundle \d+\n$/);
    expect(text((await rig().once('cat made.txt', {}, made)).result)).to.equal(first);
    const other = { ...made, owner: 'someone' };
    expect(text((await rig().once('cat made.txt', {}, other)).result)).not.to.equal(first);
    expect(await kept()).to.have.length(before.length + 2);
  });

  it('is given up when no sandbox uses it, and then prepared anew', async () => {
    const made = { files: { 'code.txt': 'given up' }, runtime: { run: 'cat code.txt' } };
    const prepared = await rig().prepare(made);
    const sandbox = await rig().driver.start(prepared, 'warm', never);
    const entries = async (): Promise<CacheEntry[]> =>
      (
        await Promise.all(
          rig()
            .driver.caches()
            .map((cache) => cache.entries()),
        )
      ).flat();
    const there = (await entries()).length;
    const removed = await Promise.all((await entries()).map(async (entry) => entry.remove()));
    expect(removed.filter((gone) => !gone)).to.have.length(1);
    await sandbox.remove();
    expect(await entries()).to.have.length(1);
    expect(there).to.equal(removed.length);
    for (const entry of await entries()) expect(await entry.remove()).to.equal(true);
    const error: unknown = await rig()
      .driver.start(prepared, 'warm', never)
      .catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Unprepared);
    expect(text((await rig().once('cat code.txt', {}, made)).result)).to.equal('given up');
    expect((await kept()).filter((name) => name.startsWith('making-'))).to.deep.equal([]);
  });

  it('fails with the output of `dependencies`, and keeps nothing', async () => {
    const runtime = { dependencies: 'echo out; echo err >&2; exit 9' };
    const error = await refusal(rig().prepare({ runtime }));
    expect(error.error).to.deep.equal({
      code: 'DEPENDENCIES_FAILED',
      message: 'dependencies exited with code 9',
    });
    expect(text(error.logs)).to.contain('out\n').and.contain('err\n');
    expect(error.exitCode).to.equal(9);
    expect(await kept()).to.deep.equal(before);
  });

  it('tells what `dependencies` put out while they run', async () => {
    const cancel = new AbortController();
    let heard = '';
    const runtime = { dependencies: 'echo downloading; sleep 1000' };
    const prepared = rig()
      .prepare({ runtime }, cancel.signal, (piece) => (heard += Buffer.from(piece).toString()))
      .catch(() => undefined);
    await eventually('they say something', () => heard.includes('downloading'));
    expect(heard).to.equal('panal: installing dependencies\ndownloading\n');
    cancel.abort(new Error('heard enough'));
    await prepared;
  });

  it("gives `dependencies` nothing of the worker's environment but the way to registries", async () => {
    process.env.SECRET_OF_THE_WORKER = 'secret';
    process.env.PIP_INDEX_URL = 'https://registry.example/simple';
    try {
      const error = await refusal(rig().prepare({ runtime: { dependencies: 'env; exit 1' } }));
      expect(text(error.logs)).not.to.contain('secret');
      expect(text(error.logs)).to.contain('PIP_INDEX_URL=https://registry.example/simple');
    } finally {
      delete process.env.SECRET_OF_THE_WORKER;
      delete process.env.PIP_INDEX_URL;
    }
  });

  it('stops when it is cancelled', async () => {
    const cancel = new AbortController();
    const prepared = rig().prepare({ runtime: { dependencies: 'echo > begun; sleep 1000' } }, cancel.signal);
    prepared.catch(() => undefined);
    await eventually('dependencies run', async () => (await kept()).length > before.length);
    cancel.abort(new Error('cancelled'));
    expect(String(await prepared.catch((error: unknown) => error))).to.contain('cancelled');
    expect(await kept()).to.deep.equal(before);
  });

  it('refuses image functions', async () => {
    const error = await refusal(rig().driver.prepare(imageSpec('f'), never));
    expect(error.error.code).to.equal('NO_CONTAINER_ENGINE');
  });
});

describe('the process driver, when it opens', () => {
  const folder = temporaryFolder();

  it('removes sandboxes and half-made functions of an earlier run, and keeps whole ones', async () => {
    const first = new ProcessRig(folder(), undefined);
    await first.open();
    await first.prepare({});
    await mkdir(join(folder(), 'sandboxes', 'left'));
    await mkdir(join(folder(), 'functions', 'making-left'));
    const second = new ProcessRig(folder(), undefined);
    await second.open();
    expect(await readdir(join(folder(), 'sandboxes'))).to.deep.equal([]);
    expect(await readdir(join(folder(), 'functions')))
      .to.have.length(1)
      .and.not.include('making-left');
    await second.driver.close();
  });

  it('warns where bubblewrap is missing', async () => {
    const rig = new ProcessRig(folder(), undefined);
    const { warnings, path, sandbox } = await rig.open('bare');
    await rig.driver.close();
    expect({ path, sandbox }).to.deep.equal({ path: 'direct', sandbox: 'process' });
    expect(warnings.join()).to.contain('bubblewrap (bwrap) is not installed');
  });
});
