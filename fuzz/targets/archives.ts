import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import fc, { type Arbitrary } from 'fast-check';
import { inspect, unpack } from '@panal/bundle';
import { PanalError } from '@panal/protocol';
import { tar, tarGz, zip, type ArchiveEntry } from '../../testkit/archives.js';
import { changedBytes, garbage } from '../mutations.js';
import { OwnVitals } from '../own-vitals.js';
import type { Shot, Target } from '../target.js';

const LIMITS = { maxUnpacked: 64 * 1024, maxEntries: 20 };
/** However large an archive says it is, it is read in this time. */
const MOST_MS = 2000;

const plain: readonly ArchiveEntry[] = [
  { name: 'lib/', type: 'directory' },
  { name: 'lib/test.py', content: 'print([4, 6, 4, 3])\n'.repeat(20), mode: 0o755 },
  { name: 'link', type: 'symlink', linkname: 'lib/test.py' },
  { name: `${'long/'.repeat(25)}name`, content: 'x' },
];
const bomb: readonly ArchiveEntry[] = [{ name: 'bomb', content: Buffer.alloc(4 * 1024 * 1024) }];
const many: readonly ArchiveEntry[] = Array.from({ length: 200 }, (_, index) => ({ name: `file-${index}` }));

/** Names and targets put together from what is dangerous. */
const path = fc
  .array(fc.constantFrom('..', '.', '', 'a', 'b', 'link', '\\', 'C:', '\0', 'x'.repeat(300)), {
    minLength: 1,
    maxLength: 5,
  })
  .map((segments) => segments.join('/'));
const entry: Arbitrary<ArchiveEntry> = fc.record({
  name: path,
  content: fc.constantFrom('', 'data', 'x'.repeat(70_000)),
  type: fc.constantFrom('file', 'directory', 'symlink', 'link', 'fifo', 'sparse'),
  linkname: path,
});

const wholes = [plain, bomb, many];
const shots: Arbitrary<Shot> = fc
  .oneof(
    {
      weight: 4,
      arbitrary: changedBytes(
        wholes.map((each) => zip(each)),
        8,
      ),
    },
    {
      weight: 2,
      arbitrary: changedBytes(
        wholes.map((each) => tarGz(each)),
        8,
      ),
    },
    {
      weight: 4,
      arbitrary: changedBytes([tar(plain), tar(many)], 8).map((bytes) => gzipSync(bytes, { level: 1 })),
    },
    { weight: 3, arbitrary: fc.array(entry, { maxLength: 4 }).map((entries) => zip(entries)) },
    { weight: 3, arbitrary: fc.array(entry, { maxLength: 4 }).map(tarGz) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('PK\x03\x04', 'PK\x05\x06', '\x1f\x8b\x08', ''), garbage)
        .map(([magic, bytes]) => Buffer.concat([Buffer.from(magic, 'latin1'), bytes])),
    },
    {
      weight: 1,
      arbitrary: garbage.map((bytes) =>
        gzipSync(Buffer.concat([tar(plain), deflateRawSync(bytes)]), { level: 1 }),
      ),
    },
  )
  .map((bytes) => [bytes]);

/** Archives, as they are read through when they come in and unpacked in a worker. In this process. */
export const archives: Target = {
  name: 'archives',
  weight: 14,
  async open({ folder }) {
    const vitals = new OwnVitals();
    const own = await mkdtemp(join(folder, 'archives-'));
    return {
      shots,
      volley: 1,
      async feed([[bytes = Buffer.alloc(0)] = []]) {
        await survives(bytes, own);
      },
      canary: () => accepted(zip(plain.slice(0, 3)), own),
      vitals: async () => vitals.take(),
      close: async () => vitals.close(),
    };
  },
};

/** Whatever the bytes are: they are unpacked or refused, and nothing but the target is touched. */
async function survives(bytes: Uint8Array, folder: string): Promise<void> {
  const packed = join(folder, 'packed');
  const target = join(folder, 'target');
  await writeFile(packed, bytes);
  const begun = performance.now();
  const info = await unlessRefused(inspect(packed, LIMITS));
  const format = info?.format ?? (bytes[0] === 0x50 ? 'zip' : 'tar.gz');
  const unpacked = await unlessRefused(unpack(packed, format, target, LIMITS).then(() => true));
  const took = performance.now() - begun;
  if (info !== undefined && unpacked === undefined)
    throw new Error('it was accepted, and cannot be unpacked');
  const found = await readdir(folder);
  const strange = found.filter((name) => name !== 'packed' && name !== 'target');
  if (strange.length > 0) throw new Error(`it made ${strange.join(', ')}`);
  if (took > MOST_MS) throw new Error(`it took ${took.toFixed(0)} ms`);
  await rm(target, { recursive: true, force: true });
}

async function accepted(bytes: Uint8Array, folder: string): Promise<void> {
  const packed = join(folder, 'packed');
  await writeFile(packed, bytes);
  await inspect(packed, LIMITS);
}

async function unlessRefused<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof PanalError) return undefined;
    throw error;
  }
}
