import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Prober } from '../../fuzz/prober.js';
import type { Recording } from '../../fuzz/recording/record.js';
import { keep, onceRecorded } from '../../fuzz/run.js';
import { TARGETS } from '../../fuzz/targets/targets.js';
import { group } from '../support/groups.js';

/** A share of `npm run fuzz`, always the same: what breaks can be broken again. */
const SEED = 20_261_121;
/** Of a target that weighs as much as all together. */
const INPUTS = 3000;
const total = TARGETS.reduce((sum, { weight }) => sum + weight, 0);

describe('Whoever takes input from outside', function () {
  this.slow(20_000);
  let folder: string;
  let recording: () => Promise<Recording>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'panal-fuzz-'));
    recording = onceRecorded(folder);
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  for (const target of TARGETS) {
    const inputs = Math.ceil((INPUTS * target.weight) / total);
    const missing = target.missing?.();
    group(missing === undefined, missing ?? '')(target.name, () => {
      it(`survives ${inputs} hostile inputs of seed ${SEED}, and serves as before`, async () => {
        const { fault } = await new Prober(target, { folder, recording }).probe({ seed: SEED, inputs });
        expect(fault && (await keep(target.name, SEED, fault))).to.equal(undefined);
      });
    });
  }
});
