import { expect } from 'chai';
import { aCall, aFunction, anImageVersion, aVersion, SHA256 } from './samples.js';
import type { Subject } from './store-conformance.js';

export function describeFunctions(subject: Subject): void {
  it('keeps a function and its versions', async () => {
    const { store } = subject;
    await store.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.putFunction(aFunction('dice', { latestVersion: 2 }), anImageVersion('dice', 2));
    await subject.reopen();
    expect(await subject.store.getFunction('ada', 'dice')).to.deep.equal(
      aFunction('dice', { latestVersion: 2 }),
    );
    expect(await subject.store.getVersion('ada', 'dice', 1)).to.deep.equal(aVersion('dice', 1));
    expect(await subject.store.getVersion('ada', 'dice', 2)).to.deep.equal(anImageVersion('dice', 2));
    expect(await subject.store.getVersion('ada', 'dice', 3)).to.equal(undefined);
    expect(await subject.store.getFunction('eve', 'dice')).to.equal(undefined);
  });

  it('changes a function without a new version', async () => {
    const changed = aFunction('dice', { activeVersion: 1, latestVersion: 2, updatedAt: 9 });
    await subject.store.putFunction(aFunction('dice'), aVersion('dice', 1));
    await subject.store.putFunction(changed);
    expect(await subject.store.getFunction('ada', 'dice')).to.deep.equal(changed);
    expect(await subject.store.listVersions('ada', 'dice')).to.deep.equal([1]);
  });

  it('lists versions in the order of their numbers', async () => {
    for (const version of [10, 2, 1])
      await subject.store.putFunction(aFunction('dice'), aVersion('dice', version));
    await subject.store.putFunction(aFunction('dice2'), aVersion('dice2', 5));
    expect(await subject.store.listVersions('ada', 'dice')).to.deep.equal([1, 2, 10]);
  });

  it('lists functions page by page, in the order of code points', async () => {
    const names = ['B', 'a', 'a.b', 'ab', '\uff5e', '🐝'];
    for (const name of names.toReversed()) await subject.store.putFunction(aFunction(name));
    await subject.store.putFunction(aFunction('other', { owner: 'adam' }));
    const seen: string[][] = [];
    for (let after: string | undefined, page: string[]; ; after = page.at(-1)) {
      page = await subject.store.listFunctions({
        owner: 'ada',
        limit: 4,
        ...(after !== undefined && { after }),
      });
      if (page.length === 0) break;
      seen.push(page);
    }
    expect(seen).to.deep.equal([names.slice(0, 4), names.slice(4)]);
  });

  it('knows which runtimes and bundles are used', async () => {
    const { store } = subject;
    await store.putFunction(aFunction('dice'), aVersion('dice', 1));
    expect(await store.isRuntimeUsed('ada', '*', 'python')).to.equal(true);
    expect(await store.isRuntimeUsed('ada', 'ada', 'python')).to.equal(false);
    expect(await store.isRuntimeUsed('ada', '*', 'pyth')).to.equal(false);
    expect(await store.isRuntimeUsed('eve', '*', 'python')).to.equal(false);
    expect(await store.isBundleUsed(SHA256)).to.equal(true);
    expect(await store.isBundleUsed('cd'.repeat(32))).to.equal(false);
  });

  it('deletes a function with its versions, and leaves its calls', async () => {
    const { store } = subject;
    await store.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.putFunction(aFunction('dice', { latestVersion: 2 }), aVersion('dice', 2));
    await store.putFunction(aFunction('dice2'), anImageVersion('dice2', 1));
    await store.acceptCall(aCall(1));
    await store.deleteFunction('ada', 'dice');
    expect(await store.getFunction('ada', 'dice')).to.equal(undefined);
    expect(await store.listVersions('ada', 'dice')).to.deep.equal([]);
    expect(await store.isRuntimeUsed('ada', '*', 'python')).to.equal(false);
    expect(await store.isBundleUsed(SHA256)).to.equal(false);
    expect(await store.listFunctions({ owner: 'ada', limit: 9 })).to.deep.equal(['dice2']);
    expect(await store.listVersions('ada', 'dice2')).to.deep.equal([1]);
    expect(await store.getCall('ada', 1)).not.to.equal(undefined);
  });

  it('deletes one version, and leaves the others', async () => {
    const { store } = subject;
    await store.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.putFunction(aFunction('dice', { latestVersion: 2 }), anImageVersion('dice', 2));
    await store.deleteVersion('ada', 'dice', 1);
    await store.deleteVersion('ada', 'dice', 9);
    expect(await store.listVersions('ada', 'dice')).to.deep.equal([2]);
    expect(await store.isRuntimeUsed('ada', '*', 'python')).to.equal(false);
    expect(await store.isBundleUsed(SHA256)).to.equal(false);
    expect(await store.getFunction('ada', 'dice')).not.to.equal(undefined);
  });

  it('keeps a version by its id, with its bundle, until it is forgotten', async () => {
    await subject.store.keepVersion(aVersion('dice', 1));
    await subject.store.keepVersion(anImageVersion('dice', 2));
    await subject.reopen();
    const { store } = subject;
    expect(await store.listKeptVersions()).to.have.members(['dice-1', 'dice-2']);
    expect(await store.getKeptVersion('dice-1')).to.deep.equal(aVersion('dice', 1));
    expect(await store.getVersion('ada', 'dice', 1)).to.equal(undefined);
    expect(await store.isBundleUsed(SHA256)).to.equal(true);
    expect(await store.isBundleUsed(SHA256, 'ada')).to.equal(false);
    for (const id of ['dice-1', 'dice-2', 'other']) await store.forgetKeptVersion(id);
    expect(await store.listKeptVersions()).to.deep.equal([]);
    expect(await store.isBundleUsed(SHA256)).to.equal(false);
  });

  it('counts what an owner has stored, each bundle once', async () => {
    const { store } = subject;
    expect(await store.usageOf('ada')).to.deep.equal({ functions: 0, versions: 0, bytes: 0 });
    await store.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.putFunction(aFunction('dice', { latestVersion: 2 }), aVersion('dice', 2));
    await store.putFunction(aFunction('coin'), aVersion('coin', 1));
    await store.putFunction(aFunction('image'), anImageVersion('image', 1));
    expect(await store.usageOf('ada')).to.deep.equal({ functions: 3, versions: 4, bytes: 3 });
    expect(await store.usageOf('ad')).to.deep.equal({ functions: 0, versions: 0, bytes: 0 });
    expect(await store.isBundleUsed(SHA256, 'ada')).to.equal(true);
    expect(await store.isBundleUsed(SHA256, 'eve')).to.equal(false);
    await store.deleteFunction('ada', 'coin');
    expect(await store.usageOf('ada')).to.deep.equal({ functions: 2, versions: 3, bytes: 3 });
  });

  it('leaves nothing half done when a function is deleted and written at once', async () => {
    const { store } = subject;
    await store.putFunction(aFunction('dice'), aVersion('dice', 1));
    await Promise.all([
      store.deleteFunction('ada', 'dice'),
      store.putFunction(aFunction('dice'), aVersion('dice', 2)),
    ]);
    expect(await store.listVersions('ada', 'dice')).to.deep.equal([2]);
    await Promise.all([
      store.putFunction(aFunction('dice'), aVersion('dice', 3)),
      store.deleteFunction('ada', 'dice'),
    ]);
    expect(await store.listVersions('ada', 'dice')).to.deep.equal([]);
    expect(await store.isRuntimeUsed('ada', '*', 'python')).to.equal(false);
  });

  it('keeps apart owners and names of any characters', async () => {
    const odd = [
      '/',
      '!',
      '\0',
      '\u0001',
      '\u0001\u0001',
      '\0a',
      'a\0',
      'a',
      'a/b',
      '__proto__',
      '🐝',
      '\u{10ffff}',
      ' ',
    ];
    await Promise.all(
      odd.flatMap((owner) =>
        odd.map((name) => subject.store.putFunction(aFunction(name, { owner }), anImageVersion(name, 1))),
      ),
    );
    await Promise.all(
      odd.map((owner, index) => subject.store.acceptCall(aCall(index + 1, { owner, funcName: owner }))),
    );
    await subject.reopen();
    for (const [index, owner] of odd.entries()) {
      expect(new Set(await subject.store.listFunctions({ owner, limit: 99 }))).to.deep.equal(new Set(odd));
      for (const name of odd) {
        expect(await subject.store.getFunction(owner, name)).to.deep.equal(aFunction(name, { owner }));
      }
      for (const filter of [{}, { funcName: owner }, { status: 'PENDING' as const }]) {
        const calls = await subject.store.listCalls({ owner, limit: 99, ...filter });
        expect(calls.map(({ callNum }) => callNum)).to.deep.equal([index + 1]);
      }
    }
  });
}
