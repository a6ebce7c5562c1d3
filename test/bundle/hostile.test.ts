import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect, unpack } from '@panal/bundle';
import type { BundleFormat } from '@panal/protocol';
import { expect } from 'chai';
import { tarGz, zip, type ArchiveEntry } from '../../testkit/archives.js';
import { refusal } from '../support/errors.js';
import { temporaryFolder } from '../support/folder.js';

const limits = { maxUnpacked: 1024 * 1024, maxEntries: 100 };

/** Each in order; the last entry is the one that must be named. */
const attacks: [string, ArchiveEntry[]][] = [
  ['an absolute path', [{ name: '/etc/cron.d/evil' }]],
  ['a path that leaves through ..', [{ name: '../evil' }]],
  ['.. in the middle of a path', [{ name: 'a/../../evil' }]],
  ['.. even where it stays inside', [{ name: 'a/../b' }]],
  ['a folder called ..', [{ name: '..', type: 'directory' }]],
  ['backslashes for slashes', [{ name: 'a\\..\\..\\evil' }]],
  ['a drive letter', [{ name: 'C:evil' }]],
  ['a name of over 255 bytes', [{ name: 'x'.repeat(256) }]],
  ['a path of over 1024 bytes', [{ name: `${'abcdefghi/'.repeat(102)}too-long` }]],
  ['a file without a name', [{ name: './', type: 'symlink', linkname: 'a' }]],
  ['a symlink to an absolute path', [{ name: 'evil', type: 'symlink', linkname: '/etc/passwd' }]],
  ['a symlink out of the root', [{ name: 'evil', type: 'symlink', linkname: '../evil' }]],
  ['a deep symlink out of the root', [{ name: 'a/b/evil', type: 'symlink', linkname: '../../../x' }]],
  ['a symlink with a backslash', [{ name: 'evil', type: 'symlink', linkname: '..\\x' }]],
  [
    'a symlink that goes up through another',
    [
      { name: 'a/b/up', type: 'symlink', linkname: '../..' },
      { name: 'evil', type: 'symlink', linkname: 'a/b/up/../x' },
    ],
  ],
  [
    'a file below a symlink',
    [
      { name: 'dir', type: 'symlink', linkname: 'elsewhere' },
      { name: 'dir/evil', content: 'x' },
    ],
  ],
  [
    'a symlink in the place of a folder',
    [{ name: 'dir/file' }, { name: 'dir', type: 'symlink', linkname: 'elsewhere' }],
  ],
  [
    'a file in the place of a symlink',
    [
      { name: 'evil', type: 'symlink', linkname: 'target' },
      { name: 'evil', content: 'x' },
    ],
  ],
  ['a file below a file', [{ name: 'file' }, { name: 'file/evil' }]],
  [
    'a file that appears twice',
    [
      { name: 'twice', content: 'a' },
      { name: './twice', content: 'b' },
    ],
  ],
  ['a FIFO', [{ name: 'evil', type: 'fifo' }]],
  ['a character device', [{ name: 'evil', type: 'character-device' }]],
  ['a block device', [{ name: 'evil', type: 'block-device' }]],
];

/** What only one of the formats can say. */
const special: Record<BundleFormat, [string, ArchiveEntry[]][]> = {
  zip: [
    ['a NUL in a name', [{ name: 'safe.txt\0/../evil' }]],
    ['a NUL in a target', [{ name: 'evil', type: 'symlink', linkname: 'a\0b' }]],
    ['an endless symlink', [{ name: 'evil', type: 'symlink', linkname: 'a/'.repeat(600) }]],
    ['a folder with content', [{ name: 'evil/', type: 'directory', content: 'x' }]],
  ],
  'tar.gz': [
    ['a hard link to an absolute path', [{ name: 'evil', type: 'link', linkname: '/etc/passwd' }]],
    ['a hard link out of the root', [{ name: 'evil', type: 'link', linkname: '../evil' }]],
    ['a hard link to what is not there', [{ name: 'evil', type: 'link', linkname: 'nothing' }]],
    [
      'a hard link to a symlink',
      [
        { name: 'link', type: 'symlink', linkname: 'x' },
        { name: 'evil', type: 'link', linkname: 'link' },
      ],
    ],
    [
      'a hard link through a symlink',
      [
        { name: 'dir/file' },
        { name: 'link', type: 'symlink', linkname: 'dir' },
        { name: 'evil', type: 'link', linkname: 'link/file' },
      ],
    ],
    ['a sparse file', [{ name: 'evil', type: 'sparse' }]],
  ],
};

for (const [format, make] of [
  ['zip', zip],
  ['tar.gz', tarGz],
] as const) {
  describe(`a hostile ${format} bundle is refused`, () => {
    const folder = temporaryFolder();

    for (const [what, entries] of [...attacks, ...special[format]]) {
      it(`with ${what}`, async () => {
        const packed = join(folder(), 'packed');
        await writeFile(packed, make([{ name: 'good.txt', content: 'x' }, ...entries]));

        const { message } = await refusal('UNSAFE_ARCHIVE', inspect(packed, limits));
        const named = JSON.stringify(entries.at(-1)?.name.slice(0, 200));
        expect(message).to.include(named);

        await refusal('UNSAFE_ARCHIVE', unpack(packed, format, join(folder(), 'target'), limits));
        expect(await readdir(folder())).to.have.members(['packed', 'target']);
      });
    }
  });
}

describe('a zip bundle that is both hostile and damaged', () => {
  const folder = temporaryFolder();

  it('is refused for the entry that is met first, and its content is left alone', async () => {
    const packed = join(folder(), 'packed');
    const bytes = zip([{ name: '../evil', content: 'some content '.repeat(50) }]);
    bytes.fill(0xff, 30 + '../evil'.length, 30 + '../evil'.length + 8);
    await writeFile(packed, bytes);
    for (let times = 0; times < 50; times += 1) await refusal('UNSAFE_ARCHIVE', inspect(packed, limits));
  });
});
