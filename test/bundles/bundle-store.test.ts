import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleRef } from '@panal/protocol';
import { expect } from 'chai';
import { BundleStore } from '../../broker/src/bundles/bundle-store.js';
import { tarGz, zip } from '../../testkit/archives.js';
import { refusal } from '../support/errors.js';
import { temporaryFolder } from '../support/folder.js';
import { limits } from './channel.js';

describe('the bundle store', () => {
  const folder = temporaryFolder();
  let store: BundleStore;

  beforeEach(async () => {
    store = new BundleStore(folder(), limits);
    await store.open();
  });

  const keep = (bundle: BundleRef): Promise<BundleRef> => Promise.resolve(bundle);
  const unused = (): Promise<boolean> => Promise.resolve(false);

  async function upload(bytes: Uint8Array, name = 'upload'): Promise<string> {
    const path = join(store.uploadFolder, name);
    await writeFile(path, bytes);
    return path;
  }

  it('keeps an upload byte for byte under its digest', async () => {
    const bytes = zip([{ name: 'test.js', content: 'console.log(1)' }]);
    const ref = await store.adopt(await upload(bytes), keep);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(ref).to.deep.equal({ sha256, size: bytes.byteLength, format: 'zip' });
    expect(await readFile(join(folder(), 'bundles', sha256))).to.deep.equal(bytes);
    expect(await readdir(store.uploadFolder)).to.deep.equal([]);
  });

  it('keeps the same code once', async () => {
    const bytes = tarGz([{ name: 'test.py' }]);
    const paths = await Promise.all(['a', 'b', 'c'].map((name) => upload(bytes, name)));
    const refs = await Promise.all(paths.map((path) => store.adopt(path, keep)));
    expect(new Set(refs.map(({ sha256 }) => sha256)).size).to.equal(1);
    expect(await readdir(join(folder(), 'bundles'))).to.have.length(1);
    expect(await readdir(store.uploadFolder)).to.deep.equal([]);
  });

  it('keeps nothing of what it refuses', async () => {
    await refusal('NOT_AN_ARCHIVE', store.adopt(await upload(Buffer.from('no archive')), keep));
    await refusal('UNSAFE_ARCHIVE', store.adopt(await upload(zip([{ name: '../evil' }])), keep));
    expect(await readdir(store.uploadFolder)).to.deep.equal([]);
    expect(await readdir(join(folder(), 'bundles'))).to.deep.equal([]);
  });

  it('removes half-done uploads when it opens, and keeps bundles', async () => {
    const { sha256 } = await store.adopt(await upload(zip([{ name: 'a' }])), keep);
    await upload(Buffer.from('PK'));
    await mkdir(join(store.uploadFolder, 'folder'));
    await new BundleStore(folder(), limits).open();
    expect(await readdir(store.uploadFolder)).to.deep.equal([]);
    expect(await readdir(join(folder(), 'bundles'))).to.deep.equal([sha256]);
  });

  it('reads any part, fewer bytes at the end, none past it', async () => {
    const bytes = zip([{ name: 'a', content: 'some content' }]);
    const { sha256, size } = await store.adopt(await upload(bytes), keep);
    expect(await store.read(sha256, 10, 20)).to.deep.equal({ bytes: bytes.subarray(10, 30), size });
    expect(await store.read(sha256, size - 5, 20)).to.deep.equal({ bytes: bytes.subarray(-5), size });
    expect(await store.read(sha256, size + 5, 20)).to.deep.equal({ bytes: Buffer.alloc(0), size });
  });

  it('has nothing under a digest it does not know, or no longer', async () => {
    const { sha256 } = await store.adopt(await upload(zip([{ name: 'a' }])), keep);
    await store.remove(sha256, unused);
    await store.remove(sha256, unused);
    expect(await store.read(sha256, 0, 10)).to.equal(undefined);
  });

  it('takes nothing but a digest for a name', async () => {
    const error: unknown = await store.read('../../etc/passwd', 0, 10).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(TypeError);
  });
});
