import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { RuntimeSpec } from '@panal/protocol';
import { dependencyFiles } from '../../worker/src/bundles/dependency-files.js';
import { temporaryFolder } from '../support/folder.js';
import { pythonRuntime, runtimeSpec } from '../support/specs.js';

const DECLARED = ['requirements.txt', 'package.json', 'package-lock.json', '.npmrc'];

interface Variation {
  owner?: string;
  env?: Record<string, string>;
  runtime?: Partial<RuntimeSpec>;
  image?: string;
}

describe('what dependencies are made from', () => {
  const folder = temporaryFolder();
  let count = 0;

  async function digest(
    files: Record<string, string>,
    { owner = 'ada', env = {}, runtime = {}, image = 'image' }: Variation = {},
  ): Promise<string | undefined> {
    const code = join(folder(), `code-${count++}`);
    await mkdir(code);
    for (const [name, content] of Object.entries(files)) await writeFile(join(code, name), content);
    const spec = runtimeSpec('f', {
      owner,
      settings: { env },
      runtime: { ...pythonRuntime, dependencyFiles: DECLARED, ...runtime },
    });
    if (spec.kind !== 'runtime') throw new Error('unreachable');
    return (await dependencyFiles(code, spec, image))?.digest;
  }

  it('is the declared files, whatever else is in the bundle', async () => {
    const files = { 'requirements.txt': 'six==1.16.0\n' };
    const one = await digest({ ...files, 'test.py': 'print(1)' });
    expect(one).to.be.a('string');
    expect(await digest({ ...files, 'test.py': 'print(2)', 'more.py': '' })).to.equal(one);
    expect(await digest({ 'requirements.txt': 'six==1.15.0\n' })).to.not.equal(one);
    expect(await digest({ ...files, '.npmrc': '' })).to.not.equal(one);
  });

  it('is the owner, the image, the command, its path and its environment, too', async () => {
    const files = { 'requirements.txt': 'six\n' };
    const all = await Promise.all([
      digest(files),
      digest(files, { owner: 'eve' }),
      digest(files, { image: 'another' }),
      digest(files, { env: { PIP_INDEX_URL: 'http://index.example' } }),
      digest(files, { runtime: { path: '/srv' } }),
      digest(files, { runtime: { dependencies: 'pip3 install -r requirements.txt' } }),
    ]);
    expect(new Set(all).size).to.equal(all.length);
    expect(all).to.not.include(undefined);
  });

  it('is the whole bundle where the runtime declares nothing, or a declared file is none', async () => {
    expect(await digest({}, { runtime: { dependencyFiles: undefined } })).to.equal(undefined);
    expect(await digest({}, { runtime: { dependencies: undefined } })).to.equal(undefined);
    const code = join(folder(), 'linked');
    await mkdir(join(code, 'package.json'), { recursive: true });
    const spec = runtimeSpec('f', { runtime: { ...pythonRuntime, dependencyFiles: DECLARED } });
    if (spec.kind !== 'runtime') throw new Error('unreachable');
    expect(await dependencyFiles(code, spec, 'image')).to.equal(undefined);
    const second = join(folder(), 'linked-2');
    await mkdir(second);
    await symlink('other.txt', join(second, 'requirements.txt'));
    expect(await dependencyFiles(second, spec, 'image')).to.equal(undefined);
  });

  it('is the whole bundle where requirements name files of it', async () => {
    const plain = [
      '',
      '# -r comment\n\nrequests[socks] >= 2.8.1, == 2.8.* ; python_version < "3.12"  # why\n',
      'six==1.16.0 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n',
      'pip @ https://files.example/pip-1.0.zip\n--index-url https://index.example/simple\n-i https://x.example/\n',
      'my_pkg.name~=1.0\r\nother (>1)\n',
    ];
    const local = [
      '-r other.txt\n',
      '--requirement=other.txt',
      '-cconstraints.txt',
      '-e .\n',
      '--editable ./lib',
      './lib\n',
      '.\n',
      '/srv/lib',
      'wheels/six.whl',
      'six-1.16.0-py3-none-any.whl',
      'lib.tar.gz\n',
      'lib @ file:///ws/lib',
      'file:lib',
      '--find-links wheels\n',
      '-f wheels',
      'six \\\n -r other.txt',
      '--extra-index-url https://x.example/ -r other.txt',
      '-i ./simple',
      '--index-url file:///srv/simple',
      '--extra-index-url ./wheels',
    ];
    for (const text of plain) expect(await digest({ 'requirements.txt': text }), text).to.be.a('string');
    for (const text of local) expect(await digest({ 'requirements.txt': text }), text).to.equal(undefined);
  });

  it('is the whole bundle where a package names files of it, or runs them when it is installed', async () => {
    const plain = [
      { dependencies: { a: '^1.0.0', b: 'https://x.example/b.tgz', c: 'user/repo', d: 'npm:e@1' } },
      { scripts: { test: 'x', start: 'y' }, type: 'module' },
    ];
    const local = [
      { dependencies: { a: 'file:./lib' } },
      { dependencies: { a: '../lib' } },
      { optionalDependencies: { a: 'link:lib' } },
      { devDependencies: { a: './a-1.0.0.tgz' } },
      { overrides: { a: { b: 'file:lib' } } },
      { scripts: { postinstall: 'node build.js' } },
      { scripts: { prepare: 'x' } },
      { workspaces: ['packages/*'] },
      { dependencies: { a: 'FILE:lib' } },
      { dependencies: { a: 'git+file:///srv/lib' } },
      { dependencies: { a: 'x/y.tar.gz' } },
      { bundleDependencies: ['a'], dependencies: { a: '1' } },
      { bundledDependencies: true, dependencies: { a: '1' } },
    ];
    for (const each of plain)
      expect(await digest({ 'package.json': JSON.stringify(each) })).to.be.a('string');
    for (const each of local) {
      const text = JSON.stringify(each);
      expect(await digest({ 'package.json': text }), text).to.equal(undefined);
    }
    expect(await digest({ 'package.json': '{' })).to.equal(undefined);
    expect(await digest({ 'package.json': '{}', 'binding.gyp': '' })).to.equal(undefined);
    const lock = JSON.stringify({ packages: { lib: { resolved: 'file:lib', link: true } } });
    expect(await digest({ 'package.json': '{}', 'package-lock.json': lock })).to.equal(undefined);
    const git = JSON.stringify({ packages: { lib: { resolved: 'git+file:///srv/lib#1' } } });
    expect(await digest({ 'package.json': '{}', 'package-lock.json': git })).to.equal(undefined);
  });

  it("is the whole bundle where npm's configuration names files", async () => {
    for (const text of ['registry=https://x.example/\nsave-prefix=~\n', '//x.example/:_authToken=abc']) {
      expect(await digest({ '.npmrc': text }), text).to.be.a('string');
    }
    for (const text of [
      'cafile=ca.pem',
      'a=b\n//x.example/:certfile = cert.pem',
      ' prefix=./lib',
      '"keyfile"=x',
    ]) {
      expect(await digest({ '.npmrc': text }), text).to.equal(undefined);
    }
  });
});
