import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { isSimpleCommand, runCommand, shellCommand } from '../../worker/src/contracts/command/run-command.js';
import { SCRIPTS, SIMPLE } from './run-table.js';

/** Where an argument behind them would be a command, or where the shells differ. */
const DOUBTFUL = [
  ...['', ' \n', 'A=1 B=2', 'a[0]=1', 'A+=1', '"$EMPTY"', '$A${B}', 'A=1 $EMPTY', "''"],
  ...['"exec"', '\\exec', 'e"xe"c', 'exec $EMPTY', 'exec 2>&1', 'command', 'time', '.', 'source'],
  ...['eval', 'eval echo', 'exec eval', '[ -f x ]', '[[ -f x ]]', '!', '{ true', 'if', 'while', 'for x in'],
  ...['let', 'read', 'command read', 'builtin test -v', 'test -v', 'A=1 declare', 'typeset', "exec 'unset'"],
  ...['case x in esac', 'function f', '> out', '2>&1', 'echo >', 'echo > # out', 'echo 2>& '],
  ...['echo {fd}> out', '{fd}> out', 'echo <<END', 'echo <<<text', 'cat <(true)', 'cat >(true)'],
  ...[
    'echo "$(true)"',
    'echo "`true`"',
    'echo "${1}"',
    'echo ${A:-x}',
    'echo $((1))',
    "echo $'a'",
    'echo $"a"',
  ],
  ...['echo $\\\n(true)', 'echo "$\\\n(true)"', 'echo \\', 'echo \\ ', "echo 'open", 'echo "open', 'echo #'],
  ...['echo a\rb', 'echo a\vb', 'echo a\u00a0b', 'echo x &', 'echo x &\n', 'echo &> x', 'echo x;;'],
];

describe('the command of a runtime', () => {
  it('is simple if it consists of words, quotes and redirections', () => {
    for (const run of Object.keys(SIMPLE)) expect(isSimpleCommand(run), run).to.equal(true);
  });

  it('is a script if it has any other syntax of the shell, or if that is in doubt', () => {
    for (const run of [...Object.keys(SCRIPTS), ...DOUBTFUL])
      expect(isSimpleCommand(run), run).to.equal(false);
  });

  it('reaches the shell as it is if it is a script, beside its parameter', () => {
    for (const run of [...Object.keys(SCRIPTS), ...DOUBTFUL]) {
      expect(runCommand(run, 'id'), run).to.deep.equal(['/bin/sh', '-c', run, 'sh', 'id']);
    }
  });

  it('is started without a shell if the shell would add nothing', () => {
    const direct = {
      'python3 test.py\n': ['python3', 'test.py'],
      "exec ./run 'a b' \"c\\\"d\" e\\ f ''": ['./run', 'a b', 'c"d', 'e f', ''],
    };
    for (const [run, argv] of Object.entries(direct))
      expect(runCommand(run, 'id')).to.deep.equal([...argv, 'id']);
    for (const run of [
      'echo x',
      'exit 3',
      'A=1 ./run',
      './run $A',
      './run *',
      './run ~',
      './run {a,b}',
      './run >x',
    ]) {
      expect(runCommand(run, 'id').slice(0, 2), run).to.deep.equal(['/bin/sh', '-c']);
    }
  });

  it('is not evaluated by a builtin of bash', function () {
    const names = spawnSync('bash', ['-c', 'compgen -b'], { encoding: 'utf8' });
    if (names.status !== 0) this.skip();
    const builtins = names.stdout
      .trim()
      .split('\n')
      .filter((name) => /^\w+$/.test(name));
    const evaluated: string[] = [];
    for (const run of builtins.flatMap((name) => [name, `${name} -v`, `${name} -a`, `${name} x`])) {
      for (const parameter of ['a[$(echo was run >&2)]', 'a[$(echo was run >&2)]=1', '$(echo was run >&2)']) {
        const args = shellCommand(run, parameter).slice(1);
        const { stderr } = spawnSync('bash', args, { input: '', encoding: 'utf8', timeout: 10_000 });
        if (/^was run$/m.test(stderr)) evaluated.push(run);
      }
    }
    expect(evaluated).to.deep.equal([]);
  });

  it('is never an option of the shell', () => {
    for (const run of ['-c', '-s x', '+x;']) expect(shellCommand(run, 'id')[2]).to.match(/^ [-+]/);
  });

  it('is parsed in one pass', () => {
    const many = '$VARIABLE'.repeat(20_000);
    expect(isSimpleCommand(`echo "${many}`)).to.equal(false);
    expect(isSimpleCommand(`echo ${many}(`)).to.equal(false);
    expect(isSimpleCommand(`echo${' '.repeat(100_000)}x`)).to.equal(true);
  });
});
