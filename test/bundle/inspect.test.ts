import { readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { inspect, type BundleLimits } from '@panal/bundle';
import { expect } from 'chai';
import { tar, tarGz, zip } from '../../testkit/archives.js';
import { refusal } from '../support/errors.js';
import { temporaryFolder } from '../support/folder.js';

const MiB = 1024 * 1024;
const limits: BundleLimits = { maxUnpacked: MiB, maxEntries: 100 };
const dice = [
  { name: 'test.py', content: 'print([4, 6])\n' },
  { name: 'requirements.txt', content: '' },
];

describe('inspecting a bundle', () => {
  const folder = temporaryFolder();
  const packed = (): string => join(folder(), 'upload');

  async function inspected(bytes: Uint8Array, within = limits): ReturnType<typeof inspect> {
    await writeFile(packed(), bytes);
    return await inspect(packed(), within);
  }

  it('tells a zip by its content, and what is in it', async () => {
    expect(await inspected(zip(dice))).to.deep.equal({ format: 'zip', entries: 2, unpackedSize: 14 });
  });

  it('tells a tar.gz by its content, and what is in it', async () => {
    expect(await inspected(tarGz(dice))).to.deep.equal({ format: 'tar.gz', entries: 2, unpackedSize: 14 });
  });

  it('takes a stored zip', async () => {
    expect((await inspected(zip(dice, { stored: true }))).unpackedSize).to.equal(14);
  });

  it('takes a tar without the empty blocks at its end, as tar(1) does', async () => {
    expect((await inspected(gzipSync(tar(dice, { end: false })))).entries).to.equal(2);
  });

  it('takes long names', async () => {
    const name = `${'folder/'.repeat(30)}file`;
    expect((await inspected(tarGz([{ name, content: 'x' }]))).unpackedSize).to.equal(1);
  });

  describe('answers NOT_AN_ARCHIVE', () => {
    const cases: [string, () => Uint8Array][] = [
      ['to an empty file', () => Buffer.alloc(0)],
      ['to text', () => Buffer.from('print("hello")\n')],
      ['to a tar without gzip', () => tar(dice)],
      ['to a gzip of something else', () => gzipSync('print("hello")\n'.repeat(100))],
      ['to a gzip within a gzip', () => gzipSync(tarGz(dice))],
      ['to an empty zip', () => zip([])],
      ['to an empty tar.gz', () => tarGz([])],
      ['to a tar.gz of nothing but its root', () => tarGz([{ name: './', type: 'directory' }])],
      [
        'to a tar that ends within a file',
        () => gzipSync(tar([{ name: 'a', content: 'x'.repeat(2000) }]).subarray(0, 1024)),
      ],
      ['to a tar that ends within a header', () => gzipSync(tar(dice).subarray(0, 1024 + 100))],
      ['to a tar header with a wrong checksum', () => gzipSync(flip(tar(dice), 3))],
      ['to a gzip with a wrong checksum', () => flip(tarGz(dice), tarGz(dice).length - 6)],
      ['to a zip with a wrong checksum', () => flip(zip(dice, { stored: true }), 30 + 'test.py'.length + 2)],
      ['to a zip whose central directory is damaged', () => flip(zip(dice), zip(dice).indexOf('PK\x01\x02'))],
      [
        'to a zip with a compression that is not known',
        () => unknownCompression(zip([{ name: 'a', content: 'x' }])),
      ],
      ['to a zip that places its directory past every file', () => endlessZip64()],
    ];
    for (const [what, bytes] of cases) {
      it(what, async () => {
        await refusal('NOT_AN_ARCHIVE', inspected(bytes()));
      });
    }

    for (const [format, make] of Object.entries({ zip, tarGz })) {
      it(`to a ${format} cut at any length`, async () => {
        const whole = make([{ name: 'a', content: 'hello '.repeat(30) }]);
        await writeFile(packed(), whole);
        for (let length = whole.byteLength - 1; length >= 0; length -= 1) {
          await truncate(packed(), length);
          await refusal('NOT_AN_ARCHIVE', inspect(packed(), limits));
        }
      });
    }
  });

  describe('answers BUNDLE_TOO_LARGE', () => {
    const zeros = Buffer.alloc(4 * MiB);
    const many = Array.from({ length: 101 }, (_, index) => ({ name: `file${index}` }));

    for (const [format, make] of Object.entries({ zip, tarGz })) {
      it(`to a ${format} that unpacks to one byte too much`, async () => {
        await inspected(make([{ name: 'a', content: zeros.subarray(0, MiB) }]));
        const over = make([
          { name: 'a', content: zeros.subarray(0, MiB) },
          { name: 'b', content: 'x' },
        ]);
        await refusal('BUNDLE_TOO_LARGE', inspected(over));
      });

      it(`to a ${format} with too many entries`, async () => {
        await inspected(make(many.slice(1)));
        await refusal('BUNDLE_TOO_LARGE', inspected(make(many)));
      });

      it(`to a ${format} with too many folders that no entry names`, async () => {
        await refusal('BUNDLE_TOO_LARGE', inspected(make([{ name: `${'d/'.repeat(200)}file` }])));
      });
    }

    it('to a zip bomb as soon as it is past the limit, whatever its headers say', async () => {
      const bomb = zip([{ name: 'bomb', content: zeros }]);
      // The size that the central directory states: past its signature, "made by" and 18 bytes of others.
      bomb.writeUInt32LE(0xfffffff0, bomb.indexOf('PK\x01\x02') + 24);
      await refusal('BUNDLE_TOO_LARGE', inspected(bomb));
    });

    it('to a gzip bomb that hides behind the end of the archive', async () => {
      await refusal('BUNDLE_TOO_LARGE', inspected(gzipSync(Buffer.concat([tar(dice), zeros]))));
    });
  });

  it('leaves no file open, whatever comes', async () => {
    const before = (await readdir('/proc/self/fd')).length;
    const bomb = zip([{ name: 'a', content: Buffer.alloc(4 * MiB) }]);
    for (const bytes of [zip(dice), tarGz(dice), bomb, bomb.subarray(0, 500), tarGz(dice).subarray(0, 50)]) {
      await inspected(bytes).catch(() => undefined);
    }
    expect((await readdir('/proc/self/fd')).length).to.be.at.most(before);
  });
});

/** A copy in which one byte is another. */
function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0xff, at);
  return copy;
}

function unknownCompression(bytes: Buffer): Buffer {
  bytes.writeUInt16LE(93, bytes.indexOf('PK\x01\x02') + 10);
  return bytes;
}

/** Its zip64 locator points past 2^53, which `fs.read` takes for a programmer's error. */
function endlessZip64(): Buffer {
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.fill(0xff, 8, 16);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  return Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), Buffer.alloc(100), locator, end]);
}
