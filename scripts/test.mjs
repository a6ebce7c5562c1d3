/**
 * `npm test`: installs and builds what is missing, then runs mocha; `npm test -- test/db -g commit` hands its
 * arguments on. `npm test -- --quick` runs the short set. The last line is always `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, setUp } from './setup.mjs';

/** The short set: no container, no whole cluster, and nothing that searches or loads for long. */
const QUICK = [
  ...['test/api', 'test/broker', 'test/bundle', 'test/bundles', 'test/db', 'test/http', 'test/users'],
  ...['life-model', 'restart'].flatMap((name) => ['--ignore', `test/broker/${name}.test.ts`]),
  ...['--ignore', 'test/bundle/fuzz.test.ts'],
];

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
  const args = [mocha, ...reporter, ...chosenTests(process.argv.slice(2))];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  // mocha hears the terminal's Ctrl-C too, and tidies up; its figures are still to be shown.
  process.on('SIGINT', () => {});
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** What mocha is given; says first how long it takes, if it is a whole set. */
function chosenTests(given) {
  if (given.includes('--quick')) {
    console.log('panal: the short set of tests takes about two minutes');
    return [...QUICK, ...given.filter((argument) => argument !== '--quick')];
  }
  if (given.length === 0) {
    console.log('panal: all tests take 15 to 30 minutes; the short set, about two: npm test -- --quick');
  }
  return given;
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
