import { expect } from 'chai';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import { FunctionError } from '../../worker/src/errors.js';
import { withEngine } from '../support/groups.js';
import { Rig, runOnce, text } from './rig.js';

const { signal } = new AbortController();

withEngine('the name of an image', () => {
  let rig: Rig;
  let driver: DockerDriver;

  before(async () => {
    rig = await Rig.make();
    ({ driver } = await rig.open('agent'));
  });
  after(async () => rig.remove());

  async function expectUnknown(image: string): Promise<void> {
    const error: unknown = await driver.prepare(rig.image(image), signal).catch((reason: unknown) => reason);
    expect(error, image).to.be.instanceOf(FunctionError);
    expect(error instanceof FunctionError && error.error.code, image).to.equal('IMAGE_NOT_FOUND');
  }

  it('is never the beginning of the id of another image', async () => {
    const image = await rig.build(
      'FROM busybox:latest',
      `LABEL made.by=${rig.owner}`,
      'CMD ["echo", "secret"]',
    );
    const { Id } = await rig.docker.getImage(image).inspect();
    const hex = Id.slice('sha256:'.length);
    for (const digits of [3, 6, 12, 40, 63, 64]) await expectUnknown(hex.slice(0, digits));
    for (const digits of [1, 6, 12, 64]) await expectUnknown(`sha256:${hex.slice(0, digits)}`);
    await expectUnknown(`${image}@${Id}`);
    await expectUnknown(`busybox@${Id}`);
  });

  it('may look like an id if an image has that name', async () => {
    const image = await rig.build('FROM busybox:latest', 'CMD ["echo", "named"]');
    const { Id } = await rig.docker.getImage(image).inspect();
    const like = Id.slice('sha256:'.length, 'sha256:'.length + 12);
    await rig.docker.getImage(image).tag({ repo: like, tag: 'latest' });
    rig.discard(like);
    expect(text((await runOnce(driver, rig.image(like))).result)).to.equal('named\n');
  });

  it('is found with and without what is left to defaults', async () => {
    for (const name of ['busybox', 'busybox:latest', 'library/busybox', 'docker.io/library/busybox:latest']) {
      const { image } = await driver.prepare(rig.image(name), signal);
      expect(image.id, name).to.match(/^sha256:/);
    }
  });

  it("is not that of an image of Panal's own, be it of the same owner", async () => {
    const spec = await rig.shell('cat hello.txt', { runtime: { dependencies: 'true' } });
    const { image } = await driver.prepare(spec, signal);
    const { RepoTags } = await rig.docker.getImage(image.id).inspect();
    expect(RepoTags).to.have.length(1);
    for (const tag of RepoTags) {
      await expectUnknown(tag);
      await expectUnknown(`docker.io/${tag}`);
    }
    await rig.docker.getImage(image.id).tag({ repo: `example/${rig.owner}`, tag: 'latest' });
    rig.discard(`example/${rig.owner}`);
    await expectUnknown(`example/${rig.owner}`);
    // So is the mark on what was pulled for somebody.
    await rig.docker.getImage('busybox:latest').tag({ repo: 'panal/pulled', tag: rig.owner });
    rig.discard(`panal/pulled:${rig.owner}`);
    await expectUnknown(`panal/pulled:${rig.owner}`);
  });
});
