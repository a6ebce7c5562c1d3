import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { LevelStore, type VersionRecord } from '@panal/db';
import { Calls } from '../../broker/src/calls/calls.js';
import type { Job } from '../../broker/src/scheduling/job.js';
import { temporaryFolder } from '../support/folder.js';
import { anOutcome } from '../support/outcomes.js';
import { ScriptedDispatch } from '../support/scripted-dispatch.js';
import { imageSpec, runtimeSpec, versionOf } from '../support/specs.js';

const FIRST = `example/dice@sha256:${'a'.repeat(64)}`;
const SECOND = `example/dice@sha256:${'b'.repeat(64)}`;
const input = { kind: 'none' as const, bytes: new Uint8Array(0) };

const custom = { name: 'custom', image: 'example/dice', path: '/ws', run: 'cat' };
const VERSIONS = {
  'its own': versionOf(imageSpec('dice')),
  "its runtime's": { ...versionOf(runtimeSpec('dice', { runtime: custom })), runtimeOwner: 'public' },
};

for (const [whose, version] of Object.entries(VERSIONS)) {
  describe(`The image that a version is bound to, ${whose}`, () => behaviour(version));
}

function behaviour(made: VersionRecord): void {
  const folder = temporaryFolder();
  let store: LevelStore;
  let dispatch: ScriptedDispatch;
  let calls: Calls;

  beforeEach(async () => {
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    const times = { createdAt: 1, updatedAt: 1 };
    const record = { owner: 'public', name: 'dice', activeVersion: 1, latestVersion: 1, ...times };
    await store.functions.putFunction(record, structuredClone(made));
    dispatch = new ScriptedDispatch();
    const policy = { attempts: 2, backoffMs: 0 };
    const log = pino({ level: 'silent' });
    calls = new Calls({ store, dispatch, policy, maxQueue: 10, recoveryMs: 0, log });
    await calls.recover();
  });

  afterEach(async () => {
    await calls.stop();
    await store.close();
  });

  async function begin(): Promise<Job> {
    const version = await store.functions.getVersion('public', 'dice', 1);
    if (version === undefined) throw new Error('there is no version');
    await calls.accept(version, input, { awaited: false });
    const job = dispatch.jobs.shift();
    if (job === undefined) throw new Error('the call was not submitted');
    calls.attempts.started(job, 'w1');
    return job;
  }

  async function end(job: Job, imageDigest: string): Promise<void> {
    const outcome = anOutcome(job.callNum, { imageDigest });
    await calls.attempts.ended(job, { outcome, result: input.bytes, logs: input.bytes });
  }

  const stored = async (): Promise<(string | undefined)[]> => {
    const version = await store.functions.getVersion('public', 'dice', 1);
    const summary = await store.functions.getSummary('public', 'dice', 1);
    return [version?.spec.imageDigest, summary?.imageDigest];
  };

  it('is the one of the call that ends first, of those that began side by side', async () => {
    const [one, two, waiting] = [await begin(), await begin(), await begin()];
    expect(await stored()).to.deep.equal([undefined, undefined]);
    await end(two, SECOND);
    expect(await stored()).to.deep.equal([SECOND, SECOND]);
    await end(one, FIRST);
    expect(await stored()).to.deep.equal([SECOND, SECOND]);
    expect(waiting.spec.imageDigest, 'a call that was accepted before').to.equal(SECOND);
    expect((await begin()).spec.imageDigest, 'a call that was accepted after').to.equal(SECOND);
  });

  it('stays with a version that was deleted while its calls run', async () => {
    const job = await begin();
    await calls.keepVersions([job.spec.id]);
    await store.functions.deleteFunction('public', 'dice');
    expect(await store.functions.bindImage(job.spec, FIRST)).to.equal(FIRST);
    expect(await store.functions.bindImage(job.spec, SECOND)).to.equal(FIRST);
    const kept = await store.functions.getKeptVersion(job.spec.id);
    expect(kept?.spec.imageDigest).to.equal(FIRST);
  });
}
