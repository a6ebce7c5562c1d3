import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Credentials, registryOf } from '../../worker/src/images/credentials.js';
import { temporaryFolder } from '../support/folder.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('credentials of registries', () => {
  const folder = temporaryFolder();

  async function credentials(content: string): Promise<Credentials> {
    const path = join(folder(), 'config.json');
    await writeFile(path, content);
    return new Credentials(path);
  }

  const failure = async (promise: Promise<unknown>): Promise<unknown> =>
    await promise.then(
      () => undefined,
      (error: unknown) => error,
    );

  it('are those of the registry that an image names', async () => {
    const auths = {
      'registry.example:5000': { auth: base64('ana:se:cret') },
      'https://index.docker.io/v1/': { username: 'ben', password: 'other' },
      'ghcr.io': { identitytoken: 'token' },
    };
    const all = await credentials(JSON.stringify({ auths, credsStore: 'desktop' }));
    expect(await all.for('registry.example:5000/team/image:1')).to.deep.equal({
      username: 'ana',
      password: 'se:cret',
      serveraddress: 'registry.example:5000',
    });
    expect(await all.for('busybox')).to.include({ username: 'ben', password: 'other' });
    expect(await all.for('acme/image')).to.include({ username: 'ben' });
    expect(await all.for('ghcr.io/acme/image@sha256:00')).to.include({ identitytoken: 'token' });
    expect(await all.for('registry.example/image')).to.deep.equal({});
  });

  it('are none without a file', async () => {
    expect(await new Credentials(undefined).for('ghcr.io/acme/image')).to.deep.equal({});
  });

  it('are read anew, so that they can be replaced', async () => {
    const all = await credentials('{"auths":{}}');
    expect(await all.for('ghcr.io/image')).to.deep.equal({});
    await credentials(JSON.stringify({ auths: { 'ghcr.io': { auth: base64('ana:new') } } }));
    expect(await all.for('ghcr.io/image')).to.include({ password: 'new' });
  });

  it('are not shown by what is said of a file that is none', async () => {
    for (const content of ['{"auths":{"ghcr.io":{"auth":"secret"', '{"secret":1}', '"secret"']) {
      const error = await failure((await credentials(content)).check());
      expect(error).to.be.instanceOf(Error);
      expect(String(error)).to.contain('config.json').and.not.to.contain('"secret"');
    }
    expect(await failure(new Credentials(join(folder(), 'none')).check())).to.be.instanceOf(Error);
  });

  for (const [reference, registry] of [
    ['busybox', 'docker.io'],
    ['acme/image:1', 'docker.io'],
    ['localhost/image', 'localhost'],
    ['10.0.0.5:5000/image', '10.0.0.5:5000'],
  ] as const) {
    it(`are for ${registry} where the image is ${reference}`, () => {
      expect(registryOf(reference)).to.equal(registry);
    });
  }
});
