import { join } from 'node:path';
import { expect } from 'chai';
import { LevelStore, summaryOf } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { Quota } from '../../broker/src/functions/quota.js';
import { temporaryFolder } from '../support/folder.js';
import { imageSpec, runtimeSpec, versionOf } from '../support/specs.js';

describe('Quota', () => {
  const folder = temporaryFolder();
  let store: LevelStore;
  let quota: Quota;
  let counted: number;

  function open({ functions = 3, bytes = 250, versions = Infinity } = {}): void {
    counted = 0;
    quota = new Quota({
      store: {
        isBundleUsed: (sha256, owner) => store.functions.isBundleUsed(sha256, owner),
        usageOf: (owner) => {
          counted++;
          return store.functions.usageOf(owner);
        },
      },
      limitsOf: (owner) => (owner === 'public' ? undefined : { functions, bytes, versions }),
    });
  }

  const bundle = (name: string, version: number, letter: string, owner = 'ada') =>
    versionOf(runtimeSpec(name, { owner, version, id: `${name}-${version}`, sha256: letter.repeat(64) }));
  const image = (name: string, owner = 'ada') => versionOf(imageSpec(name, { owner }));

  async function keep(version = image('f')): Promise<string> {
    const { owner, name, version: number } = version.spec;
    const record = { owner, name, activeVersion: number, latestVersion: number, createdAt: 1, updatedAt: 1 };
    try {
      await quota.store(version, number === 1, () => store.functions.putFunction(record, version));
      return 'stored';
    } catch (error) {
      if (error instanceof PanalError) return error.code;
      throw error;
    }
  }

  beforeEach(async () => {
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    open();
  });
  afterEach(async () => {
    await store.close();
  });

  it('holds a user to its functions, also when they come at once, and counts once', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const results = await Promise.all(names.map((name) => keep(image(name))));
    expect(results.filter((result) => result === 'stored')).to.have.length(3);
    expect(results.filter((result) => result === 'QUOTA_EXCEEDED')).to.have.length(2);
    expect(counted).to.equal(1);
  });

  it('counts each bundle once, however many versions use it', async () => {
    expect(await keep(bundle('f', 1, 'a'))).to.equal('stored');
    expect(await keep(bundle('f', 2, 'a'))).to.equal('stored');
    expect(await keep(bundle('g', 1, 'a'))).to.equal('stored');
    expect(await keep(bundle('g', 2, 'b'))).to.equal('stored');
    expect(await keep(bundle('g', 3, 'c'))).to.equal('QUOTA_EXCEEDED');
    expect(await keep(bundle('g', 3, 'b'))).to.equal('stored');
  });

  it('holds a user to its versions, and has room again when old ones are deleted', async () => {
    open({ versions: 2 });
    const versions = [1, 2, 3].map((version) => versionOf(imageSpec('f', { owner: 'ada', version })));
    const results: string[] = [];
    for (const version of versions) results.push(await keep(version));
    expect(results).to.deep.equal(['stored', 'stored', 'QUOTA_EXCEEDED']);
    const removed = { versions: versions.slice(0, 1).map(summaryOf), functions: 0 } as const;
    await quota.remove('ada', removed, () => store.functions.deleteVersion('ada', 'f', 1));
    expect(await keep(versions[2])).to.equal('stored');
  });

  it('knows what is stored after a restart', async () => {
    await keep(bundle('f', 1, 'a'));
    await keep(bundle('g', 1, 'b'));
    open();
    expect(await keep(bundle('h', 1, 'c'))).to.equal('QUOTA_EXCEEDED');
    expect(await keep(image('h'))).to.equal('stored');
    expect(await keep(image('i'))).to.equal('QUOTA_EXCEEDED');
  });

  it('makes room for what was removed, and for nothing that stays', async () => {
    const [one, two, three] = [bundle('f', 1, 'a'), bundle('f', 2, 'b'), bundle('g', 1, 'b')];
    for (const each of [one, two, three]) expect(await keep(each)).to.equal('stored');
    const remove = (version: number) => () => store.functions.deleteVersion('ada', 'f', version);
    await quota.remove('ada', { versions: [summaryOf(two)], functions: 0 }, remove(2));
    expect(await keep(bundle('f', 3, 'c'))).to.equal('QUOTA_EXCEEDED');
    await quota.remove('ada', { versions: [summaryOf(one)], functions: 0 }, remove(1));
    expect(await keep(bundle('f', 3, 'c'))).to.equal('stored');
    await quota.remove('ada', { versions: [summaryOf(bundle('f', 3, 'c'))], functions: 1 }, () =>
      store.functions.deleteFunction('ada', 'f'),
    );
    expect(await keep(bundle('h', 1, 'd'))).to.equal('stored');
    expect(counted).to.equal(1);
  });

  it('counts anew where a write failed', async () => {
    const failed = quota.store(image('f'), true, () => Promise.reject(new Error('disk')));
    await failed.catch(() => undefined);
    for (const name of ['a', 'b', 'c']) expect(await keep(image(name))).to.equal('stored');
    expect(counted).to.equal(2);
  });

  it('does not count what another has, nor hold those without limits', async () => {
    for (const name of ['a', 'b', 'c']) await keep(image(name));
    expect(await keep(image('a', 'eve'))).to.equal('stored');
    for (const name of ['a', 'b', 'c', 'd']) expect(await keep(image(name, 'public'))).to.equal('stored');
  });

  it('lets those past a lowered limit change what they have', async () => {
    for (const name of ['a', 'b', 'c']) await keep(image(name));
    open({ functions: 1, bytes: 0 });
    expect(await keep(versionOf(imageSpec('a', { owner: 'ada', version: 2 })))).to.equal('stored');
    expect(await keep(image('d'))).to.equal('QUOTA_EXCEEDED');
  });
});
