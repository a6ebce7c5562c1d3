import { expect } from 'chai';
import { aCall, aFunction, anImageVersion, aVersion, SHA256 } from './samples.js';
import type { Subject } from './store-conformance.js';

export function describeFunctions(subject: Subject): void {
  it('keeps a function and its versions', async () => {
    const { store } = subject;
    await store.functions.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.functions.putFunction(aFunction('dice', { latestVersion: 2 }), anImageVersion('dice', 2));
    await subject.reopen();
    expect(await subject.store.functions.getFunction('ada', 'dice')).to.deep.equal(
      aFunction('dice', { latestVersion: 2 }),
    );
    expect(await subject.store.functions.getVersion('ada', 'dice', 1)).to.deep.equal(aVersion('dice', 1));
    expect(await subject.store.functions.getVersion('ada', 'dice', 2)).to.deep.equal(
      anImageVersion('dice', 2),
    );
    expect(await subject.store.functions.getVersion('ada', 'dice', 3)).to.equal(undefined);
    expect(await subject.store.functions.getFunction('eve', 'dice')).to.equal(undefined);
  });

  it('changes a function without a new version', async () => {
    const changed = aFunction('dice', { activeVersion: 1, latestVersion: 2, updatedAt: 9 });
    await subject.store.functions.putFunction(aFunction('dice'), aVersion('dice', 1));
    await subject.store.functions.putFunction(changed);
    expect(await subject.store.functions.getFunction('ada', 'dice')).to.deep.equal(changed);
    expect(await subject.store.functions.listVersions('ada', 'dice')).to.deep.equal([1]);
  });

  it('lists versions in the order of their numbers', async () => {
    for (const version of [10, 2, 1])
      await subject.store.functions.putFunction(aFunction('dice'), aVersion('dice', version));
    await subject.store.functions.putFunction(aFunction('dice2'), aVersion('dice2', 5));
    expect(await subject.store.functions.listVersions('ada', 'dice')).to.deep.equal([1, 2, 10]);
  });

  it('lists functions page by page, in the order of code points', async () => {
    const names = ['B', 'a', 'a.b', 'ab', '\uff5e', '🐝'];
    for (const name of names.toReversed()) await subject.store.functions.putFunction(aFunction(name));
    await subject.store.functions.putFunction(aFunction('other', { owner: 'adam' }));
    const seen: string[][] = [];
    for (let after: string | undefined, page: string[]; ; after = page.at(-1)) {
      page = await subject.store.functions.listFunctions({
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
    await store.functions.putFunction(aFunction('dice'), aVersion('dice', 1));
    expect(await store.functions.isRuntimeUsed('ada', '*', 'python')).to.equal(true);
    expect(await store.functions.isRuntimeUsed('ada', 'ada', 'python')).to.equal(false);
    expect(await store.functions.isRuntimeUsed('ada', '*', 'pyth')).to.equal(false);
    expect(await store.functions.isRuntimeUsed('eve', '*', 'python')).to.equal(false);
    expect(await store.functions.isBundleUsed(SHA256)).to.equal(true);
    expect(await store.functions.isBundleUsed('cd'.repeat(32))).to.equal(false);
  });

  it('deletes a function with its versions, and leaves its calls', async () => {
    const { store } = subject;
    await store.functions.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.functions.putFunction(aFunction('dice', { latestVersion: 2 }), aVersion('dice', 2));
    await store.functions.putFunction(aFunction('dice2'), anImageVersion('dice2', 1));
    await store.calls.acceptCall(aCall(1));
    await store.functions.deleteFunction('ada', 'dice');
    expect(await store.functions.getFunction('ada', 'dice')).to.equal(undefined);
    expect(await store.functions.listVersions('ada', 'dice')).to.deep.equal([]);
    expect(await store.functions.isRuntimeUsed('ada', '*', 'python')).to.equal(false);
    expect(await store.functions.isBundleUsed(SHA256)).to.equal(false);
    expect(await store.functions.listFunctions({ owner: 'ada', limit: 9 })).to.deep.equal(['dice2']);
    expect(await store.functions.listVersions('ada', 'dice2')).to.deep.equal([1]);
    expect(await store.calls.getCall('ada', 1)).not.to.equal(undefined);
  });

  it('deletes one version, and leaves the others', async () => {
    const { store } = subject;
    await store.functions.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.functions.putFunction(aFunction('dice', { latestVersion: 2 }), anImageVersion('dice', 2));
    await store.functions.deleteVersion('ada', 'dice', 1);
    await store.functions.deleteVersion('ada', 'dice', 9);
    expect(await store.functions.listVersions('ada', 'dice')).to.deep.equal([2]);
    expect(await store.functions.isRuntimeUsed('ada', '*', 'python')).to.equal(false);
    expect(await store.functions.isBundleUsed(SHA256)).to.equal(false);
    expect(await store.functions.getFunction('ada', 'dice')).not.to.equal(undefined);
  });

  it('keeps a version by its id, with its bundle, until it is forgotten', async () => {
    await subject.store.functions.keepVersion(aVersion('dice', 1));
    await subject.store.functions.keepVersion(anImageVersion('dice', 2));
    await subject.reopen();
    const { store } = subject;
    expect(await store.functions.listKeptVersions()).to.have.members(['dice-1', 'dice-2']);
    expect(await store.functions.getKeptVersion('dice-1')).to.deep.equal(aVersion('dice', 1));
    expect(await store.functions.getVersion('ada', 'dice', 1)).to.equal(undefined);
    expect(await store.functions.isBundleUsed(SHA256)).to.equal(true);
    expect(await store.functions.isBundleUsed(SHA256, 'ada')).to.equal(false);
    for (const id of ['dice-1', 'dice-2', 'other']) await store.functions.forgetKeptVersion(id);
    expect(await store.functions.listKeptVersions()).to.deep.equal([]);
    expect(await store.functions.isBundleUsed(SHA256)).to.equal(false);
  });

  it('counts what an owner has stored, each bundle once', async () => {
    const { store } = subject;
    expect(await store.functions.usageOf('ada')).to.deep.equal({ functions: 0, versions: 0, bytes: 0 });
    await store.functions.putFunction(aFunction('dice'), aVersion('dice', 1));
    await store.functions.putFunction(aFunction('dice', { latestVersion: 2 }), aVersion('dice', 2));
    await store.functions.putFunction(aFunction('coin'), aVersion('coin', 1));
    await store.functions.putFunction(aFunction('image'), anImageVersion('image', 1));
    expect(await store.functions.usageOf('ada')).to.deep.equal({ functions: 3, versions: 4, bytes: 3 });
    expect(await store.functions.usageOf('ad')).to.deep.equal({ functions: 0, versions: 0, bytes: 0 });
    expect(await store.functions.isBundleUsed(SHA256, 'ada')).to.equal(true);
    expect(await store.functions.isBundleUsed(SHA256, 'eve')).to.equal(false);
    await store.functions.deleteFunction('ada', 'coin');
    expect(await store.functions.usageOf('ada')).to.deep.equal({ functions: 2, versions: 3, bytes: 3 });
  });

  it('leaves nothing half done when a function is deleted and written at once', async () => {
    const { store } = subject;
    await store.functions.putFunction(aFunction('dice'), aVersion('dice', 1));
    await Promise.all([
      store.functions.deleteFunction('ada', 'dice'),
      store.functions.putFunction(aFunction('dice'), aVersion('dice', 2)),
    ]);
    expect(await store.functions.listVersions('ada', 'dice')).to.deep.equal([2]);
    await Promise.all([
      store.functions.putFunction(aFunction('dice'), aVersion('dice', 3)),
      store.functions.deleteFunction('ada', 'dice'),
    ]);
    expect(await store.functions.listVersions('ada', 'dice')).to.deep.equal([]);
    expect(await store.functions.isRuntimeUsed('ada', '*', 'python')).to.equal(false);
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
        odd.map((name) =>
          subject.store.functions.putFunction(aFunction(name, { owner }), anImageVersion(name, 1)),
        ),
      ),
    );
    await Promise.all(
      odd.map((owner, index) => subject.store.calls.acceptCall(aCall(index + 1, { owner, funcName: owner }))),
    );
    await subject.reopen();
    for (const [index, owner] of odd.entries()) {
      expect(new Set(await subject.store.functions.listFunctions({ owner, limit: 99 }))).to.deep.equal(
        new Set(odd),
      );
      for (const name of odd) {
        expect(await subject.store.functions.getFunction(owner, name)).to.deep.equal(
          aFunction(name, { owner }),
        );
      }
      for (const filter of [{}, { funcName: owner }, { status: 'PENDING' as const }]) {
        const calls = await subject.store.calls.listCalls({ owner, limit: 99, ...filter });
        expect(calls.map(({ callNum }) => callNum)).to.deep.equal([index + 1]);
      }
    }
  });
}
