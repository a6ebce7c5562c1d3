import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
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

  /** What is of the project, and not what somebody made in the checkout; all of it where there is no git. */
  function ownFiles(pattern: RegExp): string[] {
    try {
      const tracked = execFileSync('git', ['ls-files', '-z'], {
        cwd: ROOT,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return tracked
        .toString()
        .split('\0')
        .filter((file) => pattern.test(file) && existsSync(join(ROOT, file)));
    } catch {
      return ['.'];
    }
  }

  it('pass ESLint', () => clean('eslint/bin/eslint.js', '--no-warn-ignored', ...ownFiles(/\.[mc]?[jt]s$/)));
  it('are formatted', () =>
    clean('prettier/bin/prettier.cjs', '--check', '--ignore-unknown', '--log-level=warn', ...ownFiles(/./)));
  it('pass the compiler, tests, benchmarks and the rest included', () =>
    clean('typescript/bin/tsc', '-p', 'test'));
});
