import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { inspect, unpack } from '@panal/bundle';
import { PanalError, type BundleFormat } from '@panal/protocol';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { tar, tarGz, zip, type ArchiveEntry } from '../../testkit/archives.js';
import { temporaryFolder } from '../support/folder.js';

const limits = { maxUnpacked: 64 * 1024, maxEntries: 20 };
const numRuns = 100;

const entries: ArchiveEntry[] = [
  { name: 'lib/', type: 'directory' },
  { name: 'lib/test.py', content: 'print([4, 6, 4, 3])\n'.repeat(20), mode: 0o755 },
  { name: 'link', type: 'symlink', linkname: 'lib/test.py' },
  { name: `${'long/'.repeat(25)}name`, content: 'x' },
];

/** Names and targets put together from what is dangerous. */
const path = fc
  .array(fc.constantFrom('..', '.', '', 'a', 'b', 'link', '\\', 'C:', 'x'.repeat(300)), {
    minLength: 1,
    maxLength: 5,
  })
  .map((segments) => segments.join('/'));
const entry: fc.Arbitrary<ArchiveEntry> = fc.record({
  name: path,
  content: fc.constantFrom('', 'data'),
  type: fc.constantFrom('file', 'directory', 'symlink', 'link', 'fifo'),
  linkname: path,
});

describe('bundles made at random', () => {
  const folder = temporaryFolder();

  /** Whatever the bytes are: they are unpacked or refused, and nothing but the target is touched. */
  async function survives(format: BundleFormat, bytes: Uint8Array): Promise<void> {
    const packed = join(folder(), 'packed');
    const target = join(folder(), 'target');
    await writeFile(packed, bytes);
    const inspected = await settled(inspect(packed, limits));
    const unpacked = await settled(unpack(packed, format, target, limits));
    if (inspected === 'done') expect(unpacked).to.equal('done');
    expect(await readdir(folder())).to.have.members(['packed', 'target']);
    await rm(target, { recursive: true });
  }

  async function settled(promise: Promise<unknown>): Promise<'done' | 'refused'> {
    try {
      await promise;
      return 'done';
    } catch (error) {
      if (error instanceof PanalError) return 'refused';
      throw error;
    }
  }

  for (const [format, make] of [
    ['zip', zip],
    ['tar.gz', tarGz],
  ] as const) {
    it(`never break out of ${format} with odd names and links`, async () => {
      const property = fc.asyncProperty(fc.array(entry, { maxLength: 4 }), (made) =>
        survives(format, make(made)),
      );
      await fc.assert(property, { numRuns });
    });
  }

  it('are unpacked or refused when they are a zip with some bytes changed', async () => {
    const whole = zip(entries);
    await fc.assert(
      fc.asyncProperty(mutations(whole.byteLength), (changes) => survives('zip', mutated(whole, changes))),
      { numRuns },
    );
  });

  it('are unpacked or refused when they are a gzip with some bytes changed', async () => {
    const whole = tarGz(entries);
    await fc.assert(
      fc.asyncProperty(mutations(whole.byteLength), (changes) => survives('tar.gz', mutated(whole, changes))),
      { numRuns },
    );
  });

  it('are unpacked or refused when they are a tar with some bytes changed', async () => {
    const whole = tar(entries);
    await fc.assert(
      fc.asyncProperty(mutations(whole.byteLength), (changes) =>
        survives('tar.gz', gzipSync(mutated(whole, changes))),
      ),
      { numRuns },
    );
  });

  it('are unpacked or refused when they are bytes behind the magic of a format', async () => {
    const head = fc.constantFrom('PK\x03\x04', 'PK\x05\x06', '\x1f\x8b\x08', '');
    await fc.assert(
      fc.asyncProperty(head, fc.uint8Array({ maxLength: 2000 }), async (magic, bytes) => {
        const all = Buffer.concat([Buffer.from(magic, 'latin1'), bytes]);
        await survives(magic.startsWith('PK') ? 'zip' : 'tar.gz', all);
      }),
      { numRuns },
    );
  });
});

type Mutation = [at: number, byte: number];

function mutations(length: number): fc.Arbitrary<Mutation[]> {
  const mutation = fc.tuple(fc.nat(length - 1), fc.nat(255));
  return fc.array(mutation, { minLength: 1, maxLength: 8 });
}

function mutated(whole: Buffer, changes: readonly Mutation[]): Buffer {
  const copy = Buffer.from(whole);
  for (const [at, byte] of changes) copy.writeUInt8(byte, at);
  return copy;
}
