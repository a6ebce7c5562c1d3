import { expect } from 'chai';
import type { RuntimeSpec } from '@panal/protocol';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import { FunctionError } from '../../worker/src/errors.js';
import { withEngine } from '../support/groups.js';
import { Rig, runOnce, text } from './rig.js';

withEngine('what dependencies made, between versions in containers', () => {
  let rig: Rig;
  let driver: DockerDriver;
  /** Every run of it leaves something else. */
  const runtime: Partial<RuntimeSpec> = {
    dependencies: 'cat packages.txt > made.txt; cat /proc/sys/kernel/random/uuid | tee /kept >> made.txt',
    dependencyFiles: ['packages.txt'],
  };

  async function show(
    files: Record<string, string>,
    declared = runtime,
    owner = rig.owner,
  ): Promise<string[]> {
    const entries = Object.entries(files).map(([name, content]) => ({ name, content }));
    const spec = await rig.shell('cat made.txt /kept code.txt', { runtime: declared, files: entries });
    return text((await runOnce(driver, { ...spec, owner })).result).split('\n');
  }

  before(async () => {
    rig = await Rig.make();
    ({ driver } = await rig.open('agent'));
  });
  after(async () => {
    await rig.remove();
  });

  it('is used again by a version whose code alone has changed', async () => {
    const first = await show({ 'packages.txt': 'six\n', 'code.txt': 'one' });
    const second = await show({ 'packages.txt': 'six\n', 'code.txt': 'two', 'more.txt': '' });
    expect(first[0]).to.equal('six');
    expect(first[1])
      .to.equal(first[2])
      .and.match(/^[0-9a-f-]{36}$/);
    expect(second.slice(0, 3)).to.deep.equal(first.slice(0, 3));
    expect([first[3], second[3]]).to.deep.equal(['one', 'two']);
  });

  it('is made anew of other files, for another owner, and where nothing is declared', async () => {
    const files = { 'packages.txt': 'six\n', 'code.txt': 'three' };
    const { dependencies = '' } = runtime;
    const other = `${rig.owner}-2`;
    const all = [
      await show(files),
      await show({ ...files, 'packages.txt': 'seven\n' }),
      await show(files, runtime, other),
      await show({ ...files, 'code.txt': 'undeclared' }, { dependencies }),
    ];
    expect(new Set(all.map((each) => each[1])).size).to.equal(all.length);
    await rig.removeImagesOf(other);
  });

  it('is told of while it is made, from the command on, and no more where it is used again', async () => {
    const heard: string[] = [];
    for (const code of ['told', 'told again']) {
      const files = [
        { name: 'packages.txt', content: 'told\n' },
        { name: 'code.txt', content: code },
      ];
      const loud = { ...runtime, dependencies: `echo downloading; ${runtime.dependencies ?? ''}` };
      const spec = await rig.shell('cat made.txt', { runtime: loud, files });
      let output = '';
      await driver.prepare(spec, new AbortController().signal, (piece) => (output += text(piece)));
      heard.push(output);
    }
    expect(heard).to.deep.equal(['panal: installing dependencies\ndownloading\n', '']);
  });

  it('fails with what it put out, which is told before', async () => {
    const spec = await rig.shell('true', { runtime: { dependencies: 'echo no such package >&2; exit 4' } });
    let output = '';
    const failure: unknown = await driver
      .prepare(spec, new AbortController().signal, (piece) => (output += text(piece)))
      .catch((error: unknown) => error);
    expect(failure)
      .to.be.instanceOf(FunctionError)
      .and.to.have.nested.property('error.code', 'DEPENDENCIES_FAILED');
    expect(output).to.contain('no such package\n');
  });

  it('is made once, also where several versions ask at the same moment', async () => {
    const shown = await Promise.all(
      ['a', 'b', 'c', 'd'].map((code) => show({ 'packages.txt': 'at once\n', 'code.txt': code })),
    );
    expect(new Set(shown.map((each) => each[1])).size).to.equal(1);
  });

  it('has the volumes of the image in memory, where their limit is that of memory', async () => {
    const image = await rig.build('FROM busybox:latest', 'VOLUME /cache');
    const limited = rig.driver('agent', rig.docker, { installation: { memoryMb: 64 } });
    await limited.open();
    const why = async (dependencies: string): Promise<string> => {
      const spec = await rig.shell('true', { runtime: { image, dependencies } });
      const failure: unknown = await limited
        .prepare(spec, new AbortController().signal)
        .catch((error: unknown) => error);
      if (!(failure instanceof FunctionError)) throw new Error(String(failure));
      return `${text(failure.logs)}${failure.error.message}`;
    };
    expect(await why('grep " /cache " /proc/mounts; exit 1')).to.match(/^tmpfs /);
    expect(await why('head -c 100000000 /dev/zero > /cache/big; exit 1')).to.contain('dependencies');
  });
});
