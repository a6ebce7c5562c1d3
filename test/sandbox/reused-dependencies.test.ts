import { expect } from 'chai';
import { openRig, type TestFunction } from './process-rig.js';
import { text } from './requests.js';

describe('what dependencies made, between versions in processes', () => {
  const rig = openRig(() => undefined);
  /** Every run of it leaves something else. */
  const dependencies =
    'cat packages.txt > made.txt; cat /proc/sys/kernel/random/uuid | tee "$HOME/kept" >> made.txt';
  const runtime = { dependencies, dependencyFiles: ['packages.txt'] };

  async function show(files: Record<string, string>, more: Partial<TestFunction> = {}): Promise<string> {
    const made = { files, runtime, ...more };
    return text((await rig().once('cat made.txt "$HOME/kept" code.txt', {}, made)).result);
  }
  /** What one installation left, and the code beside it. */
  const parts = (shown: string): string[] => shown.split('\n');

  it('is used again by a version whose code alone has changed', async () => {
    const first = parts(await show({ 'packages.txt': 'six\n', 'code.txt': 'one' }));
    const second = parts(await show({ 'packages.txt': 'six\n', 'code.txt': 'two', 'more.txt': '' }));
    expect(first[0]).to.equal('six');
    expect(first[1])
      .to.equal(first[2])
      .and.match(/^[0-9a-f-]{36}$/);
    expect(second.slice(0, 3)).to.deep.equal(first.slice(0, 3));
    expect([first[3], second[3]]).to.deep.equal(['one', 'two']);
  });

  it('is made anew of other files, for another owner or environment, and where nothing is declared', async () => {
    const files = { 'packages.txt': 'six\n', 'code.txt': 'three' };
    const all = [
      await show(files),
      await show({ ...files, 'packages.txt': 'seven\n' }),
      await show(files, { owner: 'someone' }),
      await show(files, { settings: { env: { INDEX: 'other' } } }),
      await show({ ...files, 'code.txt': 'undeclared' }, { runtime: { dependencies } }),
    ];
    expect(new Set(all.map((each) => parts(each)[1])).size).to.equal(all.length);
  });

  it('never stands in for what the bundle has itself', async () => {
    const files = { 'packages.txt': 'six\n', 'code.txt': 'four', 'made.txt': 'of the bundle' };
    const shown = parts(await show(files));
    expect(shown[0], 'dependencies ran in the bundle').to.equal('six');
    expect(shown[1]).to.equal(shown[2]);
  });

  it('is made once, also where several versions ask at the same moment', async () => {
    const shown = await Promise.all(
      ['a', 'b', 'c', 'd'].map((code) => show({ 'packages.txt': 'at once\n', 'code.txt': code })),
    );
    expect(new Set(shown.map((each) => parts(each)[1])).size).to.equal(1);
  });
});
