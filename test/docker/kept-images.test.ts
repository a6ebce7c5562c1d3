import { expect } from 'chai';
import type { CacheEntry } from '../../worker/src/cache/cache-keeper.js';
import { LABEL } from '../../worker/src/engine/labels.js';
import { inspectImage, tagImage, type Image } from '../../worker/src/images/image.js';
import { KeptImages } from '../../worker/src/images/kept-images.js';
import { isStray } from '../../worker/src/sandbox/docker/containers.js';
import { withEngine } from '../support/groups.js';
import { Rig } from './rig.js';

const HOUR = 3_600_000;

withEngine('the images that Panal pulled', () => {
  let rig: Rig;
  let kept: KeptImages;
  let made = 0;

  before(async () => {
    rig = await Rig.make();
    kept = new KeptImages(rig.docker);
  });
  after(async () => {
    await rig.remove();
  });

  /** An image of a size that no other has, by which its entry is found. */
  async function image(): Promise<{ name: string; image: Image; bytes: number }> {
    const name = `${await rig.build('FROM busybox', `RUN head -c ${++made}000 /dev/zero > /${rig.owner}`)}:latest`;
    const found = await inspectImage(rig.docker, name);
    if (found === undefined) throw new Error('not built');
    const { Size } = await rig.docker.getImage(name).inspect();
    return { name, image: found, bytes: Size };
  }

  async function entry(bytes: number, by = kept): Promise<CacheEntry | undefined> {
    return (await by.entries()).find((each) => each.bytes === bytes);
  }

  const tags = async (id: string): Promise<string[]> => (await rig.docker.getImage(id).inspect()).RepoTags;

  it('go by all of their names, and those that others put there never', async () => {
    const { name, image: pulled, bytes } = await image();
    expect(await entry(bytes), 'nobody pulled it').to.equal(undefined);
    await kept.pulled(name.replace(':latest', ''), pulled);
    expect(await tags(pulled.id)).to.have.length(2);
    expect(await (await entry(bytes))?.remove()).to.equal(true);
    expect(await inspectImage(rig.docker, pulled.id)).to.equal(undefined);
  });

  it('keep the names that others gave them', async () => {
    const { name, image: pulled, bytes } = await image();
    await kept.pulled(`docker.io/${name}`, pulled);
    const theirs = `panal-test/${rig.owner}-theirs:1`;
    await tagImage(rig.docker, pulled.id, theirs);
    rig.discard(theirs);
    expect(await (await entry(bytes))?.remove()).to.equal(true);
    expect(await tags(pulled.id)).to.deep.equal([theirs]);
  });

  it('stay while a container is made of them, or another image', async () => {
    const { name, image: pulled, bytes } = await image();
    await kept.pulled(name, pulled);
    const container = await rig.docker.createContainer({ Image: pulled.id });
    expect(await (await entry(bytes))?.remove()).to.equal(false);
    await container.remove();
    const child = await rig.build(`FROM ${name}`, 'LABEL child=1');
    expect(await entry(bytes)).to.equal(undefined);
    await rig.docker.getImage(child).remove();
    expect(await (await entry(bytes))?.remove()).to.equal(true);
  });

  it('were last used when any worker on the engine used them, also before it started', async () => {
    const { name, image: pulled, bytes } = await image();
    await kept.pulled(name, pulled);
    const before = (await (await entry(bytes))?.usedAt()) ?? Infinity;
    const seen = await entry(bytes);
    kept.used(pulled);
    expect(await seen?.remove(), 'it is used right now').to.equal(false);
    await kept.entries();
    expect(await (await entry(bytes, new KeptImages(rig.docker)))?.usedAt()).to.be.greaterThan(before);
    expect(await (await entry(bytes))?.remove()).to.equal(true);
  });
});

describe('a container that has stopped', () => {
  it("is nobody's two hours after a worker made it", () => {
    const Labels = { [LABEL.worker]: 'gone' };
    const container = { Created: 1000, Labels };
    expect(isStray(container, 1_000_000 + HOUR)).to.equal(false);
    expect(isStray(container, 1_000_001 + 2 * HOUR)).to.equal(true);
    expect(isStray({ ...container, Labels: { [LABEL.worker]: '' } }, 1_000_001 + 2 * HOUR)).to.equal(false);
  });
});
