import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Cgroups } from '../../worker/src/sandbox/process/cgroups.js';
import { builtAgent } from '../agent/rig.js';
import { temporaryFolder } from '../support/folder.js';
import { withBubblewrap, withCompiler } from '../support/groups.js';
import { runtimeSpec } from '../support/specs.js';
import { openRig } from './process-rig.js';
import { summary, text } from './requests.js';
import { runningWith } from './running.js';

const probe = await Cgroups.find('/probe');
await probe?.close();
const withCgroups = probe === undefined ? describe.skip : describe;
const EAT = `python3 -c 'x = bytearray(300 << 20)' || exit $?; echo ate #`;

withBubblewrap('limits of the process driver', () => {
  withCgroups('by control groups', () => {
    describe('without an agent', () => limits(() => undefined));
    withCompiler('with an agent', () => limits(builtAgent));
  });
});

function limits(agent: () => string | undefined): void {
  const rig = openRig(agent);

  it('kill a call that takes too much memory, and say so', async () => {
    const ended = await rig().once(EAT, {}, { settings: { memoryMb: 64 } });
    expect(summary(ended)).to.include({ status: 'FAILED', code: 'OUT_OF_MEMORY', exitCode: 137 });
    expect(ended.error?.message).to.equal('took more than 64 MiB of memory (memoryMb of the function)');
  });

  it('let a call start so many processes, and no more', async () => {
    const many = 'for i in $(seq 40); do sleep 1000 & done; echo all';
    const ended = await rig().once(many, {}, { settings: { pids: 20 } });
    expect(summary(ended)).to.include({ status: 'FAILED', result: '' });
    expect(text(ended.logs)).to.contain('Cannot fork');
  });

  it('contain a fork bomb', async () => {
    const mark = randomUUID();
    const bomb = `sh -c 'f() { f & f & wait; }; f; true' ${mark}`;
    await rig().once(bomb, { timeoutMs: 1000 }, { settings: { pids: 20 } });
    expect(await runningWith(mark)).to.deep.equal([]);
    expect(summary(await rig().once('echo fine'))).to.include({ result: 'fine\n' });
  });
}

describe('control groups of version 2', () => {
  const folder = temporaryFolder();
  const group = (): string => join(folder(), 'parent/panal-4e31c2c3a1f0');

  /** Files as the kernel shows them: the group of the worker, below a parent that gives its children controllers. */
  beforeEach(async () => {
    await mkdir(join(folder(), 'parent/own'), { recursive: true });
    await writeFile(join(folder(), 'cgroup.controllers'), 'cpu memory pids');
    await writeFile(join(folder(), 'parent/own/cgroup.subtree_control'), '');
    await writeFile(join(folder(), 'parent/cgroup.subtree_control'), 'cpu memory pids');
    await writeFile(join(folder(), 'membership'), '0::/parent/own\n');
  });

  it("are made beside the worker's own, with the limits of the function", async () => {
    const cgroups = await Cgroups.find('/data', folder(), join(folder(), 'membership'));
    const { settings } = runtimeSpec('f', { settings: { memoryMb: 100, pids: 10, cpus: 0.5 } });
    const made = await cgroups?.create('one', settings);
    const [entrance = ''] = made?.entrances ?? [];
    expect(entrance).to.match(/parent\/panal-[0-9a-f]{12}\/one\/cgroup.procs$/);
    const limit = async (name: string): Promise<string> =>
      await readFile(entrance.replace('cgroup.procs', name), 'utf8');
    expect(await limit('memory.max')).to.equal('104857600');
    expect(await limit('pids.max')).to.equal('13');
    expect(await limit('cpu.max')).to.equal('50000 100000');
    await writeFile(entrance.replace('cgroup.procs', 'memory.events'), 'oom 1\noom_kill 1\n');
    expect(await made?.outOfMemory()).to.equal(true);
    expect(await made?.outOfMemory()).to.equal(false);
    await rm(group(), { recursive: true, force: true });
  });

  it('are left alone where the worker may not make them', async () => {
    await writeFile(join(folder(), 'parent/cgroup.subtree_control'), '');
    await writeFile(join(folder(), 'cgroup.subtree_control'), '');
    expect(await Cgroups.find('/data', folder(), join(folder(), 'membership'))).to.equal(undefined);
  });
});
