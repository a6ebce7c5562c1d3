/**
 * `npm test`: installs and builds what is missing, then runs mocha; `npm test -- test/db -g commit` hands its
 * arguments on. The last line is always `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, setUp } from './setup.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'panal-test-run-'));
try {
  const report = join(scratch, 'report.json');
  const status = (await setUp()) ? await runMocha(report) : 1;
  summarize(readReport(report, status));
  process.exitCode = status;
} finally {
  rmSync(scratch, { recursive: true });
}

/** Returns mocha's exit code: how many tests failed. */
async function runMocha(report) {
  const mocha = join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js');
  const reporter = ['--reporter', 'test/support/reporter.mjs', '--reporter-option', `file=${report}`];
  const args = [mocha, ...reporter, ...process.argv.slice(2)];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  // mocha hears the terminal's Ctrl-C too, and tidies up; its figures are still to be shown.
  process.on('SIGINT', () => {});
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** What the reporter wrote; where mocha did not come so far, that is the failure. */
function readReport(report, status) {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { passed: 0, failed: status === 0 ? 0 : 1, skipped: 0, leftOut: [] };
  }
}

function summarize({ passed, failed, skipped, leftOut }) {
  for (const { why, tests } of leftOut) console.log(`left out: ${tests} tests, as ${why}`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}
