import { spawnSync } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { wordsOf } from '../../cli/src/command-words.js';
import { completionScript, type ShellName } from '../../cli/src/completion.js';
import { createProgram } from '../../cli/src/program.js';
import { temporaryFolder } from '../support/folder.js';

/** Stands for the command: it has two functions, one of them with an evil name. */
const STAND_IN = `#!/bin/sh
case "$1" in
  functions) printf '%s\\n' dice dinner '$(touch evil)' ;;
  runtimes) printf '%s\\n' 'NAME IMAGE' 'pythonruntime x' ;;
  calls) printf '%s\\n' 'CALL  FUNCTION' '   12  dice' '   7  dice' ;;
esac
`;

const script = (shell: ShellName): string => completionScript(shell, wordsOf(createProgram(process)));

describe('panal completion bash', () => {
  const folder = temporaryFolder();

  beforeEach(async () => {
    await writeFile(join(folder(), 'panal'), STAND_IN);
    await chmod(join(folder(), 'panal'), 0o755);
  });

  /** What bash offers behind these words; the last one is half typed. */
  function offered(...words: string[]): string[] {
    const line = ['panal', ...words];
    const ask = `${script('bash')}
      COMP_WORDS=(${line.map((word) => `'${word}'`).join(' ')})
      COMP_CWORD=${words.length}
      compopt() { :; }
      _panal
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', ask], {
      cwd: folder(),
      env: { PATH: `${folder()}:${process.env.PATH ?? ''}` },
      encoding: 'utf8',
    });
    expect(stderr).to.equal('');
    return stdout.split('\n').filter((word) => word !== '');
  }

  it('is registered for panal', () => {
    const { stdout } = spawnSync('bash', ['--norc', '-c', `${script('bash')}\ncomplete -p panal`], {
      encoding: 'utf8',
    });
    expect(stdout).to.equal('complete -F _panal panal\n');
  });

  it('completes verbs', () => {
    expect(offered('')).to.include.members(['up', 'deploy', 'invoke', 'completion']);
    expect(offered('run')).to.deep.equal(['runtimes']);
    expect(offered('--url', 'http://x', 'ro')).to.deep.equal(['rollback']);
  });

  it('completes names of functions, and runs nothing that is in them', () => {
    expect(offered('invoke', 'di')).to.deep.equal(['dice', 'dinner']);
    expect(offered('rm', '--yes', 'dic')).to.deep.equal(['dice']);
    expect(offered('invoke', '')).to.deep.equal(['dice', 'dinner', '$(touch evil)']);
    expect(offered('invoke', 'dice', 'di')).to.deep.equal([]);
    expect(spawnSync('ls', { cwd: folder(), encoding: 'utf8' }).stdout).to.equal('panal\n');
  });

  it('completes options of the verb and of all verbs', () => {
    expect(offered('invoke', '--')).to.include.members(['--async', '--raw', '--timeout', '--url', '--json']);
    expect(offered('--v')).to.deep.equal(['--version']);
  });

  it('completes values of options', () => {
    expect(offered('calls', '--status', 'D')).to.deep.equal(['DONE', 'DEAD']);
    expect(offered('calls', '-f', 'din')).to.deep.equal(['dinner']);
    expect(offered('deploy', '--runtime', '')).to.deep.equal(['pythonruntime']);
    expect(offered('calls', '--limit', '')).to.deep.equal([]);
  });

  it('completes numbers of calls, languages, shells and folders', () => {
    expect(offered('logs', '')).to.deep.equal(['12', '7']);
    expect(offered('init', 'py')).to.deep.equal(['python']);
    expect(offered('completion', '')).to.deep.equal(['bash', 'zsh', 'fish']);
    expect(offered('deploy', '/et')).to.deep.equal(['/etc']);
  });
});

describe('panal completion', () => {
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    it(`knows every verb in ${shell}`, () => {
      const program = createProgram(process);
      for (const { commands } of [program]) {
        for (const verb of commands) expect(script(shell)).to.match(new RegExp(`\\b${verb.name()}\\b`));
      }
    });
  }
});
