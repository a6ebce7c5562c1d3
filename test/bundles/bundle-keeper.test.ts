import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { summaryOf, LevelStore, type FunctionStore, type VersionRecord } from '@panal/db';
import type { BundleRef } from '@panal/protocol';
import { expect } from 'chai';
import { pino } from 'pino';
import { BundleKeeper } from '../../broker/src/bundles/bundle-keeper.js';
import { BundleStore } from '../../broker/src/bundles/bundle-store.js';
import { tarGz } from '../../testkit/archives.js';
import { temporaryFolder } from '../support/folder.js';
import { Gate } from '../support/gate.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';
import { limits } from './channel.js';

describe('Bundles', () => {
  const folder = temporaryFolder();
  let store: LevelStore;
  let bundles: BundleStore;
  let keeper: BundleKeeper;
  let uploads: number;

  beforeEach(async () => {
    uploads = 0;
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    bundles = new BundleStore(folder(), limits);
    await bundles.open();
    keeper = keeperOf(store.functions);
  });
  afterEach(async () => {
    await keeper.stop();
    await store.close();
  });

  const keeperOf = (asked: Pick<FunctionStore, 'isBundleUsed'>): BundleKeeper =>
    new BundleKeeper({ bundles, store: asked, log: pino({ level: 'silent' }) });

  const kept = async (): Promise<string[]> => await readdir(join(folder(), 'bundles'));

  async function upload(content: string): Promise<string> {
    const path = join(bundles.uploadFolder, `upload-${++uploads}`);
    await writeFile(path, tarGz([{ name: 'test.py', content }]));
    return path;
  }

  function version(name: string, { sha256 }: BundleRef, owner = 'ana'): VersionRecord {
    return versionOf(runtimeSpec(name, { id: `id-${owner}-${name}`, owner, sha256 }));
  }

  /** What a registration does with uploaded code. */
  function register(name: string, owner?: string): (bundle: BundleRef) => Promise<VersionRecord> {
    return async (bundle) => {
      const made = version(name, bundle, owner);
      const times = { createdAt: 1, updatedAt: 1 };
      await store.functions.putFunction({ ...made.spec, activeVersion: 1, latestVersion: 1, ...times }, made);
      return made;
    };
  }

  async function remove(deleted: VersionRecord): Promise<void> {
    await store.functions.deleteFunction(deleted.spec.owner, deleted.spec.name);
    await keeper.discard([summaryOf(deleted)]);
  }

  const refuse = (): Promise<never> => Promise.reject(new Error('over the quota'));

  it('go with the last version that uses them, whoever owns it', async () => {
    const mine = await keeper.adopt(await upload('same'), register('dice'));
    const hers = await keeper.adopt(await upload('same'), register('dice', 'bea'));
    const other = await keeper.adopt(await upload('other'), register('coin'));
    expect(await kept()).to.have.length(2);
    await remove(mine);
    await keeper.sweep();
    expect(await kept()).to.have.length(2);
    await remove(hers);
    expect(await kept()).to.deep.equal([bundleOf(other)]);
    await remove(other);
    expect(await kept()).to.deep.equal([]);
  });

  it('stay while a deleted version is kept for its calls', async () => {
    const dice = await keeper.adopt(await upload('same'), register('dice'));
    await store.functions.keepVersion(dice);
    await remove(dice);
    await keeper.sweep();
    expect(await kept()).to.have.length(1);
    await store.functions.forgetKeptVersion(dice.spec.id);
    await keeper.discard([summaryOf(dice)]);
    expect(await kept()).to.deep.equal([]);
  });

  it('go where their registration is refused, unless another of the same code is taken', async () => {
    const gate = new Gate();
    const taken = keeper.adopt(await upload('same'), async (bundle) => {
      await gate.pass();
      return await register('dice')(bundle);
    });
    const refused = keeper.adopt(await upload('same'), refuse).catch((error: unknown) => String(error));
    await keeper.adopt(await upload('other'), refuse).catch(() => undefined);
    await eventually('the first is about to be stored', () => gate.arrivals === 1);
    gate.open();
    expect(await refused).to.contain('over the quota');
    expect(await kept()).to.deep.equal([bundleOf(await taken)]);
  });

  it('of a registration under way are left by a sweep and by deletions', async () => {
    const before = await keeper.adopt(await upload('same'), register('dice'));
    const gate = new Gate();
    const again = keeper.adopt(await upload('same'), async (bundle) => {
      await gate.pass();
      return await register('again')(bundle);
    });
    await eventually('it is about to be stored', () => gate.arrivals === 1);
    const done = Promise.all([remove(before), keeper.sweep()]);
    await eventually('the function is gone', async () => !(await store.functions.getFunction('ana', 'dice')));
    gate.open();
    await Promise.all([again, done]);
    expect(await kept()).to.deep.equal([bundleOf(await again)]);
  });

  it('that are being removed are brought anew by an upload of the same code', async () => {
    const before = await keeper.adopt(await upload('same'), register('dice'));
    await store.functions.deleteFunction('ana', 'dice');
    const gate = new Gate();
    const slow = keeperOf({
      async isBundleUsed(sha256) {
        const used = await store.functions.isBundleUsed(sha256);
        await gate.pass();
        return used;
      },
    });
    const swept = slow.sweep();
    await eventually('it was found unused', () => gate.arrivals === 1);
    const again = keeper.adopt(await upload('same'), register('again'));
    gate.open();
    await Promise.all([swept, again]);
    expect(await kept()).to.deep.equal([bundleOf(before)]);
  });

  it('that a crash left are found at the next start; what is no bundle is not touched', async () => {
    const used = await keeper.adopt(await upload('used'), register('dice'));
    // Died after the file was there, and before its version was stored; and after a version was deleted.
    await bundles.adopt(await upload('never stored'), () => Promise.resolve());
    await keeper.adopt(await upload('deleted'), register('coin'));
    await store.functions.deleteFunction('ana', 'coin');
    await writeFile(join(folder(), 'bundles', 'README'), '');
    expect(await kept()).to.have.length(4);
    await store.close();
    await store.open();
    keeper.start();
    await eventually('the others are gone', async () => (await kept()).length === 2);
    expect(await kept()).to.have.members([bundleOf(used), 'README']);
  });

  it('are as many as versions use, however registrations and deletions meet', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const life = async (name: string): Promise<void> => {
      for (let round = 0; round < 10; round++) {
        const made = await keeper.adopt(await upload('same'), register(name));
        expect(await bundles.read(bundleOf(made), 0, 1), 'a version has its code').not.to.equal(undefined);
        await remove(made);
      }
      await keeper.adopt(await upload('same'), register(name));
    };
    const sweeps = async (): Promise<void> => {
      for (let round = 0; round < 40; round++) await keeper.sweep();
    };
    await Promise.all([...names.map(life), sweeps()]);
    expect(await kept()).to.have.length(1);
    for (const name of names) {
      await store.functions.deleteFunction('ana', name);
    }
    await keeper.sweep();
    expect(await kept()).to.deep.equal([]);
  });
});

function bundleOf({ spec }: VersionRecord): string {
  if (spec.kind !== 'runtime') throw new Error('it has no bundle');
  return spec.bundle.sha256;
}
