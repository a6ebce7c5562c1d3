import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Cgroups } from '../../worker/src/sandbox/process/cgroups.js';
import { temporaryFolder } from '../support/folder.js';

describe('Control groups', () => {
  const folder = temporaryFolder();

  it('are done without where none are mounted', async () => {
    const own = join(folder(), 'cgroup');
    await writeFile(own, '3:memory:/\n2:pids:/\n1:cpu,cpuacct:/\n');
    // As in a network namespace with a /sys of its own: folders that nobody can make.
    expect(await Cgroups.find(folder(), '/proc', own)).to.equal(undefined);
  });
});
