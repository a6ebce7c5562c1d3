import { execFile } from 'node:child_process';
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { inspect, unpack } from '@panal/bundle';
import { expect } from 'chai';
import { tar, tarGz, unicodePath, zip, type ArchiveEntry } from '../../testkit/archives.js';
import { refusal } from '../support/errors.js';
import { temporaryFolder } from '../support/folder.js';

const run = promisify(execFile);
const limits = { maxUnpacked: 4 * 1024 * 1024, maxEntries: 100 };
const WINDOWS = 0;

describe('an archive as people make them', () => {
  const folder = temporaryFolder();

  /** Unpacks it, and gives the content of each file by its path. */
  async function unpacked(bytes: Uint8Array): Promise<Record<string, string>> {
    const packed = join(folder(), 'packed');
    await writeFile(packed, bytes);
    return await unpackedFile(packed);
  }

  async function unpackedFile(packed: string): Promise<Record<string, string>> {
    const { format } = await inspect(packed, limits);
    const target = join(folder(), 'target');
    await unpack(packed, format, target, limits);
    const entries = await readdir(target, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const contents = files
      .sort()
      .map(async (path) => [path.slice(target.length + 1), await readFile(path, 'utf8')]);
    return Object.fromEntries(await Promise.all(contents)) as Record<string, string>;
  }

  it('has UTF-8 names without the flag for them, as Info-ZIP and macOS write', async () => {
    for (const name of ['ñandú.txt', 'n\u0303.txt', '日本/語.py', 'plain.txt']) {
      const files = await unpacked(zip([{ name, content: 'x' }], { flag: false }));
      expect(Object.keys(files)).to.include(name);
      await run('rm', ['-r', join(folder(), 'target')]);
    }
  });

  it('has names in code page 437, if they are not UTF-8', async () => {
    const cp437 = { flag: false, nameOf: () => Buffer.from([0xa4, 0x61, 0x2e, 0x74]) };
    expect(await unpacked(zip([{ name: '', content: 'x' }], cp437))).to.deep.equal({ 'ña.t': 'x' });
  });

  it('has the name that its Unicode field says', async () => {
    const field = { flag: false, nameOf: () => Buffer.from('?andu.txt'), extra: unicodePath };
    expect(await unpacked(zip([{ name: 'ñandú.txt', content: 'x' }], field))).to.deep.equal({
      'ñandú.txt': 'x',
    });
  });

  it('is refused with a name that is not the UTF-8 that it says it is', async () => {
    const packed = join(folder(), 'packed');
    await writeFile(packed, zip([{ name: '' }], { nameOf: () => Buffer.from([0xff, 0x61]) }));
    await refusal('UNSAFE_ARCHIVE', inspect(packed, limits));
  });

  it('has backslashes between folders, as .NET writes on Windows', async () => {
    const entries: ArchiveEntry[] = [
      { name: 'test.py', content: 'import pkg.mod' },
      { name: 'pkg\\mod.py', content: 'n = 1' },
      { name: 'empty\\', type: 'directory' },
    ];
    expect(await unpacked(zip(entries, { host: WINDOWS }))).to.deep.equal({
      'pkg/mod.py': 'n = 1',
      'test.py': 'import pkg.mod',
    });
    expect((await stat(join(folder(), 'target/empty'))).isDirectory()).to.equal(true);
  });

  it('is refused for what its backslashes hide', async () => {
    const packed = join(folder(), 'packed');
    for (const name of ['..\\evil', 'a\\..\\..\\evil', '\\evil', 'C:\\evil', '\\\\host\\evil']) {
      await writeFile(packed, zip([{ name }], { host: WINDOWS }));
      const { message } = await refusal('UNSAFE_ARCHIVE', inspect(packed, limits));
      expect(message).to.contain('evil');
    }
    await writeFile(packed, zip([{ name: 'a\\b' }, { name: 'a/b' }], { host: WINDOWS }));
    expect((await refusal('UNSAFE_ARCHIVE', inspect(packed, limits))).message).to.contain('appears twice');
  });

  it('has odd modes, of which only the right to execute counts', async () => {
    const modes = { none: 0, unreadable: 0o200, setuid: 0o4755, program: 0o711 };
    for (const pack of [zip, tarGz]) {
      await unpacked(
        pack(Object.entries(modes).map(([name, mode]) => ({ name: `d/${name}`, content: 'x', mode }))),
      );
      for (const [name, mode] of Object.entries({
        none: 0o644,
        unreadable: 0o644,
        setuid: 0o755,
        program: 0o755,
      })) {
        expect((await stat(join(folder(), 'target/d', name))).mode & 0o7777, name).to.equal(mode);
      }
      await run('rm', ['-r', join(folder(), 'target')]);
    }
  });

  it('comes behind a line for a shell, with a comment, or with what macOS adds', async () => {
    const script = [
      'import sys, zipfile',
      'out = open(sys.argv[1], "wb"); out.write(b"#!/usr/bin/env python3\\n")',
      'z = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED); z.comment = b"made by hand"',
      'z.writestr("__MACOSX/._test.py", b"x"); z.writestr(".DS_Store", b"x"); z.writestr("test.py", "print(1)")',
      'z.close(); out.close()',
    ].join('\n');
    const packed = join(folder(), 'packed');
    await run('python3', ['-c', script, packed]);
    expect(await unpackedFile(packed)).to.include({ 'test.py': 'print(1)' });
  });

  it('was written as a stream, with sizes after the contents', async () => {
    const script = [
      'import sys, zipfile',
      'with zipfile.ZipFile(sys.stdout.buffer, "w", zipfile.ZIP_DEFLATED) as z:',
      '    z.writestr("test.py", "print(1)"); z.writestr("d/", ""); z.writestr("d/a", "a" * 100000)',
    ].join('\n');
    const { stdout } = await run('python3', ['-c', script], { encoding: 'buffer' });
    expect(await unpacked(stdout)).to.deep.equal({ 'test.py': 'print(1)', 'd/a': 'a'.repeat(100_000) });
  });

  for (const format of [
    '--format=gnu',
    '--sparse-version=0.0',
    '--sparse-version=0.1',
    '--sparse-version=1.0',
  ]) {
    it(`is refused for a sparse file, which it names: ${format}`, async function () {
      const source = join(folder(), 'source');
      await mkdir(source);
      const file = await open(join(source, 'model.bin'), 'w');
      await file.write('weights', 200_000);
      await file.truncate(400_000);
      await file.close();
      const packed = join(folder(), 'packed');
      const options = format.startsWith('--sparse') ? ['--format=posix', format] : [format];
      await run('tar', [...options, '-Szcf', packed, '-C', source, 'model.bin']);
      const { message } = await refusal('UNSAFE_ARCHIVE', inspect(packed, limits));
      expect(message).to.contain('"model.bin" is a sparse file');
    });
  }

  it('has the pax headers and long names of GNU tar, and hard links', async () => {
    const source = join(folder(), 'source');
    const long = `${'folder-of-a-long-name/'.repeat(8)}${'f'.repeat(120)}`;
    await mkdir(join(source, long, '..'), { recursive: true });
    await writeFile(join(source, long), 'long');
    await run('ln', [join(source, long), join(source, 'hard')]);
    for (const format of ['gnu', 'posix', 'oldgnu']) {
      const packed = join(folder(), `packed-${format}`);
      await run('tar', [`--format=${format}`, '-zcf', packed, '-C', source, '.']);
      expect(await unpackedFile(packed)).to.deep.equal({ [long]: 'long', hard: 'long' });
      await run('rm', ['-r', join(folder(), 'target')]);
    }
  });

  it('consists of several gzip members, or has zeros behind it', async () => {
    const whole = tar([{ name: 'test.py', content: 'x'.repeat(3000) }]);
    const members = Buffer.concat([gzipSync(whole.subarray(0, 700)), gzipSync(whole.subarray(700))]);
    for (const bytes of [members, Buffer.concat([gzipSync(whole), Buffer.alloc(1000)])]) {
      expect(Object.keys(await unpacked(bytes))).to.deep.equal(['test.py']);
      await run('rm', ['-r', join(folder(), 'target')]);
    }
  });

  it('in another format is refused with those that are taken', async () => {
    const packed = join(folder(), 'packed');
    for (const [head, name] of [
      ['BZh91AY', 'bzip2'],
      ['\xfd7zXZ\0', 'xz'],
      ['\x28\xb5\x2f\xfd', 'zstd'],
      ['7z\xbc\xaf\x27\x1c', '7z'],
      [tar([{ name: 'a' }]).toString('latin1'), 'tar without gzip'],
    ] as const) {
      await writeFile(packed, Buffer.from(head, 'latin1'));
      const { message } = await refusal('NOT_AN_ARCHIVE', inspect(packed, limits));
      expect(message).to.equal(`The module is ${name}; it must be a .zip or a .tar.gz`);
    }
  });
});

describe('a bundle with the folder around it', () => {
  const folder = temporaryFolder();
  const begins = (name: string): boolean => name === 'test.py' || name.startsWith('handler.');

  async function inspected(...names: string[]): Promise<unknown> {
    const packed = join(folder(), 'packed');
    await writeFile(packed, zip(names.map((name) => ({ name, content: 'x' }))));
    return await inspect(packed, limits, begins);
  }

  it('is refused with what is in which folder', async () => {
    for (const names of [
      ['x/handler.py'],
      ['x/handler.py', 'x/lib/a.py', '__MACOSX/x/._handler.py', '.DS_Store'],
      ['README.md', 'x/handler.py', 'y/a.py'],
    ]) {
      const { message } = await refusal('INVALID_REQUEST', inspected(...names));
      expect(message).to.match(/^handler.py is in folder x\/: pack the contents of the folder/);
    }
  });

  it('is told from one that has such a file at its root, in several folders, or nowhere', async () => {
    for (const names of [
      ['test.py', 'x/handler.py'],
      ['x/test.py', 'y/test.py'],
      ['x/y/test.py'],
      ['main.py', 'x/a.py'],
      ['__MACOSX/test.py', 'a.py'],
    ]) {
      expect(await inspected(...names)).to.have.property('entries', names.length);
    }
  });
});
