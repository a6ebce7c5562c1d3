import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Docker from 'dockerode';
import { removeLeftFolders } from '../../worker/src/engine/left-folders.js';
import { networkMode, removeIdleNetwork } from '../../worker/src/engine/network.js';
import { deepFolders, temporaryFolder } from '../support/folder.js';
import { withEngine } from '../support/groups.js';

withEngine('What a worker leaves on its engine', () => {
  const docker = new Docker();
  const folder = temporaryFolder();
  const made: Docker.Container[] = [];

  async function container(network = 'none'): Promise<Docker.Container> {
    const created = await docker.createContainer({
      Image: 'busybox',
      Cmd: ['sleep', '60'],
      HostConfig: { NetworkMode: network },
    });
    made.push(created);
    return created;
  }
  const hostOf = ({ id }: Docker.Container): string => id.slice(0, 12);

  afterEach(async () => {
    for (const each of made.splice(0)) await each.remove({ force: true });
  });

  it('is no network, unless a container is on it; and that has a label', async () => {
    const network = docker.getNetwork(await networkMode(docker, 'bridge'));
    const { Labels: labels } = (await network.inspect()) as { Labels: object };
    expect(labels).to.deep.equal({ 'panal.kind': 'network' });
    const attached = await container(network.id);
    await attached.start();
    await removeIdleNetwork(docker);
    await network.inspect();
    await attached.remove({ force: true });
    made.splice(0);
    await removeIdleNetwork(docker);
    expect(await network.inspect().catch((error: unknown) => error)).to.have.property('statusCode', 404);
    await removeIdleNetwork(docker);
  });

  it('is no folder of a container that is gone', async () => {
    const [own, other] = [hostOf(await container()), hostOf(await container())];
    for (const name of [own, other, '0123456789ab', 'anything'])
      await mkdir(join(folder(), name, 'unpacked'), { recursive: true });
    deepFolders(join(folder(), '0123456789ab'));
    await removeLeftFolders(docker, join(folder(), own), own);
    expect(await readdir(folder())).to.have.members([own, other, 'anything']);
  });

  it('is every folder where it cannot tell: it has none of that kind, or runs on another engine', async () => {
    const [own, gone] = [hostOf(await container()), '0123456789ab'];
    for (const name of [own, gone, 'data']) await mkdir(join(folder(), name));
    await removeLeftFolders(docker, join(folder(), 'data'), own);
    await removeLeftFolders(docker, join(folder(), 'ba9876543210'), 'ba9876543210');
    expect(await readdir(folder())).to.have.members([own, gone, 'data']);
  });
});
