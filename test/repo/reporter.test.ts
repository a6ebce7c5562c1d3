import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TESTS = `
describe('group', () => {
  it('passes', () => {});
  it('fails', () => { throw new Error('on purpose'); });
  describe.skip('in a container (left out: no engine)', () => { it('one', () => {}); it('two', () => {}); });
});
describe.skip('another (left out: no engine)', () => { it('three', () => {}); });
`;

describe('The report of npm test', () => {
  const folder = temporaryFolder();

  it('counts tests, and those left out for each reason', async () => {
    const [tests, file] = [join(folder(), 'some.test.cjs'), join(folder(), 'report.json')];
    await writeFile(tests, TESTS);
    const mocha = [join(ROOT, 'node_modules/mocha/bin/mocha.js'), '--no-config'];
    const reporter = [
      '--reporter',
      join(ROOT, 'test/support/reporter.mjs'),
      '--reporter-option',
      `file=${file}`,
    ];
    const { status, stdout } = spawnSync(process.execPath, [
      ...process.execArgv,
      ...mocha,
      ...reporter,
      tests,
    ]);
    expect(status).to.equal(1);
    expect(String(stdout))
      .to.match(/\[4 of 5 tests, 1 failed\]/)
      .and.to.match(/\[5 of 5 tests, 1 failed\]/);
    expect(JSON.parse(readFileSync(file, 'utf8'))).to.deep.equal({
      passed: 1,
      failed: 1,
      skipped: 3,
      leftOut: [{ why: 'no engine', tests: 3 }],
    });
  });
});
