import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LONG = 300_000;

describe('The sources', function () {
  this.timeout(LONG);
  this.slow(LONG);

  /** Runs a tool of `node_modules` and fails with what it reports. */
  async function clean(script: string, ...args: string[]): Promise<void> {
    const complaint = await new Promise<string | undefined>((resolve) => {
      execFile(
        process.execPath,
        [`node_modules/${script}`, ...args],
        { cwd: ROOT },
        (error, stdout, stderr) => resolve(error === null ? undefined : stdout + stderr),
      );
    });
    if (complaint !== undefined) throw new Error(complaint);
  }

  it('pass ESLint', () => clean('eslint/bin/eslint.js', '.'));
  it('are formatted', () => clean('prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'));
  it('pass the compiler, tests, benchmarks and the rest included', () =>
    clean('typescript/bin/tsc', '-p', 'test'));
});
