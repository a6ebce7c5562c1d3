import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

const LEFT_OUT = / \(left out: (.+)\)$/;

/** Mocha's own report for people, and its figures for `scripts/test.mjs` in the file of the option `file`. */
export default class Reporter extends Mocha.reporters.Spec {
  #file;

  constructor(runner, options) {
    super(runner, options);
    this.#file = options.reporterOptions?.file;
    runner.on(Mocha.Runner.constants.EVENT_SUITE_END, (suite) => {
      // A group of a file: often enough to see that it goes on, and not a line for each test.
      if (suite.parent?.root === true) this.#showProgress();
    });
  }

  #showProgress() {
    const { passes, failures, pending } = this.stats;
    const failed = failures === 0 ? '' : `, ${failures} failed`;
    console.log(`  [${passes + failures + pending} of ${this.runner.total} tests${failed}]`);
  }

  epilogue() {
    super.epilogue();
    if (this.#file === undefined) return;
    const { passes, failures, pending } = this.stats;
    const figures = {
      passed: passes,
      failed: failures,
      skipped: pending,
      leftOut: leftOut(this.runner.suite),
    };
    writeFileSync(this.#file, JSON.stringify(figures));
  }
}

/** Why groups were left out, as `groups.ts` puts it into their titles, and how many tests for each reason. */
function leftOut(root) {
  const tests = new Map();
  const visit = (suite) => {
    const why = LEFT_OUT.exec(suite.title)?.[1];
    if (why === undefined) suite.suites.forEach(visit);
    else tests.set(why, (tests.get(why) ?? 0) + suite.total());
  };
  visit(root);
  return [...tests].map(([why, count]) => ({ why, tests: count }));
}
