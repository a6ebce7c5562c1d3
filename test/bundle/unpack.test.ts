import { lstat, mkdir, readFile, readdir, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect, unpack } from '@panal/bundle';
import { expect } from 'chai';
import { tarGz, zip, type ArchiveEntry } from '../../testkit/archives.js';
import { temporaryFolder } from '../support/folder.js';

const limits = { maxUnpacked: 1024 * 1024, maxEntries: 100 };
const formats = { zip, 'tar.gz': tarGz };

for (const [format, make] of Object.entries(formats)) {
  describe(`unpacking a ${format} bundle`, () => {
    const folder = temporaryFolder();

    async function unpacked(entries: ArchiveEntry[]): Promise<string> {
      const packed = join(folder(), 'packed');
      const target = join(folder(), 'target');
      await writeFile(packed, make(entries));
      const info = await inspect(packed, limits);
      expect(info.format).to.equal(format);
      await unpack(packed, info.format, target, limits);
      return target;
    }

    it('keeps the tree as it is, and the content to the byte', async () => {
      const content = Buffer.from([0, 1, 2, 255, 10, 13]);
      const target = await unpacked([
        { name: 'main.py', content: 'print(1)\n' },
        { name: 'lib/', type: 'directory' },
        { name: 'lib/data.bin', content },
        { name: 'lib/deep/er/empty' },
        { name: './señal ✓.txt', content: 'x' },
      ]);
      expect((await readdir(target, { recursive: true })).sort()).to.deep.equal(
        [
          'lib',
          'lib/data.bin',
          'lib/deep',
          'lib/deep/er',
          'lib/deep/er/empty',
          'main.py',
          'señal ✓.txt',
        ].sort(),
      );
      expect(await readFile(join(target, 'lib/data.bin'))).to.deep.equal(content);
      expect(await readFile(join(target, 'main.py'), 'utf8')).to.equal('print(1)\n');
      expect((await stat(join(target, 'lib/deep/er/empty'))).size).to.equal(0);
    });

    it('does not flatten a bundle whose code lies in one folder', async () => {
      const target = await unpacked([{ name: 'project/main.py', content: 'x' }]);
      expect(await readdir(target)).to.deep.equal(['project']);
    });

    it('keeps files executable, and drops setuid bits and owners', async () => {
      const target = await unpacked([
        { name: 'run.sh', content: '#!/bin/sh', mode: 0o4755 },
        { name: 'plain', content: 'x', mode: 0o6666 },
        { name: 'sticky/', type: 'directory', mode: 0o3777 },
      ]);
      const run = await stat(join(target, 'run.sh'));
      expect(run.mode & 0o7100).to.equal(0o100);
      expect(run.uid).to.equal(process.getuid?.());
      expect((await stat(join(target, 'plain'))).mode & 0o7133).to.equal(0);
      expect((await stat(join(target, 'sticky'))).mode & 0o7022).to.equal(0);
    });

    it('keeps symlinks that stay inside', async () => {
      const target = await unpacked([
        { name: 'pkg/cli.js', content: 'hi' },
        { name: 'bin/cli', type: 'symlink', linkname: '../pkg/cli.js' },
        { name: 'bin/here', type: 'symlink', linkname: '.' },
        { name: 'dangling', type: 'symlink', linkname: 'made/later' },
      ]);
      expect(await readlink(join(target, 'bin/cli'))).to.equal('../pkg/cli.js');
      expect(await readFile(join(target, 'bin/here/cli'), 'utf8')).to.equal('hi');
      expect((await lstat(join(target, 'dangling'))).isSymbolicLink()).to.equal(true);
    });

    it('unpacks a file of many pieces', async () => {
      const content = Buffer.from(Array.from({ length: 700_000 }, (_, index) => (index * 7919) % 251));
      const target = await unpacked([{ name: 'big', content }, { name: 'after' }]);
      expect((await readFile(join(target, 'big'))).equals(content)).to.equal(true);
    });

    it('writes over nothing that is already there', async () => {
      await mkdir(join(folder(), 'target'));
      await writeFile(join(folder(), 'target', 'file'), 'mine');
      const error: unknown = await unpacked([{ name: 'file', content: 'theirs' }]).catch((e: unknown) => e);
      expect(error).to.have.property('code', 'EEXIST');
      expect(await readFile(join(folder(), 'target', 'file'), 'utf8')).to.equal('mine');
    });
  });
}

describe('unpacking a tar.gz bundle with hard links', () => {
  const folder = temporaryFolder();

  it('links to files that came before', async () => {
    const packed = join(folder(), 'packed');
    await writeFile(
      packed,
      tarGz([
        { name: 'a/one', content: 'same' },
        { name: 'two', type: 'link', linkname: 'a/one' },
        { name: 'three', type: 'link', linkname: './two' },
      ]),
    );
    await unpack(packed, 'tar.gz', join(folder(), 'target'), limits);
    expect(await readFile(join(folder(), 'target', 'three'), 'utf8')).to.equal('same');
  });
});
