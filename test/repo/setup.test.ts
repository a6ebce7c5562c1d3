import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { withTerminal } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';

const SCRIPTS = fileURLToPath(new URL('../../scripts', import.meta.url));

// In place of npm and of the compiler, which would take minutes: each notes that it ran, and leaves what it makes.
const NPM = `#!/bin/sh
echo "npm $1" >> ran
rm -rf node_modules
mkdir -p node_modules/typescript/bin
cp tsc-stand-in node_modules/typescript/bin/tsc
`;
const COMPILER = `
const { appendFileSync, mkdirSync } = require('node:fs');
appendFileSync('ran', ['tsc', ...process.argv.slice(2)].join(' ') + '\\n');
mkdirSync('room/dist', { recursive: true });
`;

describe('The set-up that npm start and npm test do first', () => {
  const checkout = temporaryFolder();
  const at = (...path: string[]): string => join(checkout(), ...path);

  beforeEach(async () => {
    await cp(SCRIPTS, at('scripts'), { recursive: true });
    for (const folder of ['bin', 'room/src', 'runtimes/agent/build', 'runtimes/nodejs'])
      await mkdir(at(folder), { recursive: true });
    await writeFile(at('bin/npm'), NPM);
    await chmod(at('bin/npm'), 0o755);
    await writeFile(at('tsc-stand-in'), COMPILER);
    await writeFile(at('package.json'), '{"workspaces":["room"]}');
    await writeFile(at('room/src/index.ts'), 'export {};');
    for (const name of ['package-lock.json', 'tsconfig.json', 'tsconfig.base.json'])
      await writeFile(at(name), '{}');
    for (const name of ['package.json', 'tsconfig.json']) await writeFile(at('room', name), '{}');
    for (const runtime of ['agent', 'nodejs']) await writeFile(at('runtimes', runtime, 'build.mjs'), '');
    await writeFile(at('runtimes/agent/build/agent'), '');
    await writeFile(
      at('run.mjs'),
      "import { setUp } from './scripts/setup.mjs'; console.log(await setUp());",
    );
  });

  /** @returns what it said on stderr, which is no terminal here */
  async function setUp(): Promise<string> {
    const child = spawn(process.execPath, [at('run.mjs')], {
      env: { ...process.env, PATH: [at('bin'), process.env.PATH].join(delimiter) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, said] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await once(child, 'close');
    expect(output).to.equal('true\n');
    return said;
  }

  /** What ran since this was asked last. */
  async function ran(): Promise<string[]> {
    const text = await readFile(at('ran'), 'utf8').catch(() => '');
    await rm(at('ran'), { force: true });
    return text.split('\n').filter((line) => line !== '');
  }

  it('installs and builds in a fresh clone', async () => {
    await setUp();
    expect(await ran()).to.deep.equal(['npm ci', 'tsc -b --force']);
  });

  it('says what it does in a few lines, and nothing where nothing is to be done', async () => {
    expect((await setUp()).trimEnd().split('\n')).to.have.length(4);
    expect(await setUp()).to.equal('');
  });

  it('does nothing where nothing changed', async () => {
    await setUp();
    await ran();
    await setUp();
    expect(await ran()).to.deep.equal([]);
  });

  it('builds again after a change of a source', async () => {
    await setUp();
    await ran();
    await writeFile(at('room/src/index.ts'), 'export const changed = true;');
    await setUp();
    expect(await ran()).to.deep.equal(['tsc -b']);
  });

  it('builds again what was removed', async () => {
    await setUp();
    await ran();
    await rm(at('room/dist'), { recursive: true });
    await setUp();
    expect(await ran()).to.deep.equal(['tsc -b --force']);
  });

  it('installs again after a change of what is to be installed', async () => {
    await setUp();
    await ran();
    await writeFile(at('package-lock.json'), '{"lockfileVersion":3}');
    await setUp();
    expect(await ran()).to.deep.equal(['npm ci', 'tsc -b']);
  });

  it('installs once when two commands start at the same moment', async () => {
    await Promise.all([setUp(), setUp()]);
    expect(await ran()).to.deep.equal(['npm ci', 'tsc -b --force']);
  });

  it('goes on where a command was killed while it installed', async () => {
    await mkdir(at('.panal'));
    // No process has this number: it is past the largest that Linux gives out.
    await symlink('4194305', at('.panal/setup.lock'));
    await setUp();
    expect(await ran()).to.deep.equal(['npm ci', 'tsc -b --force']);
  });

  withTerminal('on a terminal', () => {
    it('shows how long a step takes', async () => {
      await writeFile(
        at('tsc-stand-in'),
        `${COMPILER}\nconst wait = () => require('node:fs').existsSync('seen') || setTimeout(wait, 20);\nwait();`,
      );
      const command = `${process.execPath} run.mjs`;
      const child = spawn('script', ['--quiet', '--command', command, '/dev/null'], {
        cwd: checkout(),
        env: { ...process.env, PATH: [at('bin'), process.env.PATH].join(delimiter) },
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let shown = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
      const ended = once(child, 'close');
      await eventually('the time that it has taken', () => /panal: building, \d+ s/.test(shown));
      await writeFile(at('seen'), '');
      await ended;
      expect(shown).to.match(/panal: building took \d+ s/);
    });
  });
});
