import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const MAIN = new URL('../../cli/src/main.ts', import.meta.url);

describe('panal', () => {
  function panal(args: string[], env: NodeJS.ProcessEnv = {}): ReturnType<typeof spawnSync> {
    const script = `process.exitCode = await (await import('${MAIN.href}')).main(${JSON.stringify(args)})`;
    return spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
  }

  it('says its version', () => {
    expect(panal(['--version']).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('lists its commands', () => {
    expect(panal(['--help']).stdout).to.match(/^ {2}up /m);
  });

  it('names the variable of a setting that is wrong, in one line, and ends with 2', () => {
    const { status, stderr, stdout } = panal(['up'], { FAAS_SLOTS: 'many' });
    expect({ status, stderr, stdout }).to.deep.equal({
      status: 2,
      stderr: 'panal: FAAS_SLOTS must be a whole number from 1 to 4096, not "many"\n',
      stdout: '',
    });
  });

  for (const [args, message] of [
    [['invoke', '--json'], "missing required argument 'name'"],
    [['calls', '--json', '--fast'], "unknown option '--fast'"],
    [['--json', 'fly'], "unknown command 'fly'"],
    [['--json', 'call', 'x'], "'x' is invalid"],
    [['--json'], 'no verb was given'],
  ] as const) {
    it(`says what is wrong with its use as JSON, if asked for that: ${args.join(' ')}`, () => {
      const { status, stderr, stdout } = panal([...args]);
      const { error } = JSON.parse(String(stderr)) as { error: { code: string; message: string } };
      expect([status, stdout, error.code]).to.deep.equal([2, '', 'USAGE']);
      expect(error.message).to.contain(message);
    });
  }
});
