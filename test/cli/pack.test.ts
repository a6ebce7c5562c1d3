import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { list, type ReadEntry } from 'tar';
import { Failure } from '../../cli/src/failure.js';
import { ignoreRules } from '../../cli/src/ignore.js';
import { fingerprint, listFolder, pack } from '../../cli/src/pack.js';
import { temporaryFolder } from '../support/folder.js';

describe('A folder that is deployed', () => {
  const folder = temporaryFolder();
  const root = (): string => join(folder(), 'function');

  async function write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root(), path)), { recursive: true });
      await writeFile(join(root(), path), content);
    }
  }

  async function packed(): Promise<string> {
    const file = join(folder(), 'module.tar.gz');
    await pack(root(), await listFolder(root()), file);
    return file;
  }

  async function entriesOf(file: string): Promise<ReadEntry[]> {
    const entries: ReadEntry[] = [];
    await list({ file, onReadEntry: (entry) => entries.push(entry) });
    return entries;
  }

  const refusal = async (): Promise<string> =>
    await listFolder(root()).then(
      () => 'nothing refused',
      (error: unknown) => (error instanceof Failure ? error.message : String(error)),
    );

  it('is packed with its files and folders, in one order', async () => {
    await write({ 'b.py': '', 'a/z.py': '', 'a/B.py': '', 'Z.py': '', '@odd': '', '-odd': '' });
    const names = (await entriesOf(await packed())).map(({ path }) => path);
    expect(names).to.deep.equal(['./-odd', './@odd', './Z.py', './a/', './a/B.py', './a/z.py', './b.py']);
  });

  it('gives the same bytes again, whatever its times and permissions', async () => {
    await write({ 'handler.py': 'code', 'run.sh': '#!/bin/sh', 'data/x': 'x' });
    await chmod(join(root(), 'run.sh'), 0o700);
    const digest = async (): Promise<string> =>
      createHash('sha256')
        .update(await readFile(await packed()))
        .digest('hex');
    const before = await digest();
    await utimes(join(root(), 'handler.py'), 1, 1);
    await chmod(join(root(), 'handler.py'), 0o600);
    await chmod(join(root(), 'run.sh'), 0o755);
    expect(await digest()).to.equal(before);
    const modes = (await entriesOf(await packed())).map(({ path, mode }) => [path, mode]);
    expect(modes).to.deep.include(['./run.sh', 0o755]).and.to.deep.include(['./handler.py', 0o644]);
  });

  it('leaves out what its .panalignore names, and what is not of the function', async () => {
    await write({
      '.panalignore': '*.log\n/build/\n!keep.log\n',
      'panal.json': '{}',
      '.git/config': '',
      'a.log': '',
      'sub/b.log': '',
      'keep.log': '',
      'build/x': '',
      'sub/build/x': '',
      'sub/panal.json': '',
      'handler.py': '',
    });
    const names = (await entriesOf(await packed())).map(({ path }) => path);
    expect(names).to.deep.equal([
      './handler.py',
      './keep.log',
      './sub/',
      './sub/build/',
      './sub/build/x',
      './sub/panal.json',
    ]);
  });

  it('keeps links that stay in it', async () => {
    await write({ 'a/file': 'x', 'b/x': '' });
    await symlink('../a/file', join(root(), 'b/link'));
    const [link] = (await entriesOf(await packed())).filter(({ type }) => type === 'SymbolicLink');
    expect(link?.linkpath).to.equal('../a/file');
  });

  for (const [what, target] of [
    ['absolute', '/etc/passwd'],
    ['going up', '../../etc/passwd'],
    ['to the folder above', '..'],
  ] as const) {
    it(`is refused for a link out of it: ${what}`, async () => {
      await write({ 'handler.py': '' });
      await symlink(target, join(root(), 'link'));
      expect(await refusal()).to.equal(`link is a link that leads out of the folder, to ${target}`);
      await write({ '.panalignore': 'link\n' });
      expect(await refusal()).to.equal('nothing refused');
    });
  }

  it('is refused for what is neither file nor folder', async () => {
    await write({ 'handler.py': '' });
    execFileSync('mkfifo', [join(root(), 'pipe')]);
    expect(await refusal()).to.equal('pipe is neither a file nor a folder');
  });

  it('has changed when a file that is deployed has, and only then', async () => {
    await write({ '.panalignore': '*.swp', 'handler.py': 'one' });
    const print = async (): Promise<string> => await fingerprint(root(), await listFolder(root()));
    const before = await print();
    await write({ 'handler.py.swp': 'x' });
    expect(await print()).to.equal(before);
    await write({ 'panal.json': '{}' });
    const described = await print();
    expect(described).to.not.equal(before);
    await write({ 'handler.py': 'three' });
    expect(await print()).to.not.equal(described);
  });
});

describe('.panalignore', () => {
  for (const [rules, left, kept] of [
    ['*.pyc', ['a.pyc', 'sub/a.pyc'], ['a.py']],
    ['/top', ['top'], ['sub/top']],
    ['dir/', ['dir/', 'sub/dir/'], ['dir']],
    ['a/**/z', ['a/z', 'a/b/c/z'], ['z', 'b/z']],
    ['# *.py\n\\#x', ['#x'], ['a.py']],
    ['*\n!*.py', ['a.txt'], ['a.py']],
    ['[ab].txt', ['a.txt'], ['c.txt', 'A.txt']],
    ['', ['.git/', 'panal.json', '.panalignore'], ['.gitignore', '.env']],
  ] as const) {
    it(`with ${JSON.stringify(rules)} leaves out ${left.join(', ')}`, () => {
      const ignores = ignoreRules(rules);
      expect(left.filter(ignores)).to.deep.equal(left);
      expect(kept.filter(ignores)).to.deep.equal([]);
    });
  }
});
