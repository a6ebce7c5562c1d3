import { expect } from 'chai';
import { Preparation } from '../../worker/src/execution/preparation.js';
import { FakeDriver } from '../support/fake-sandbox.js';
import { Gate } from '../support/gate.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

const dice = runtimeSpec('dice');
const never = new AbortController().signal;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : '');

function kit(): { driver: FakeDriver; preparation: Preparation } {
  const driver = new FakeDriver();
  return { driver, preparation: new Preparation(driver.prepare.bind(driver), 10) };
}

describe('preparing a function', () => {
  it('is done once for all who ask, at once or later', async () => {
    const { driver, preparation } = kit();
    const all = await Promise.all([1, 2, 3].map(async () => preparation.of(dice, never)));
    expect(await preparation.of(dice, never)).to.equal(all[0]);
    expect(driver.counts.prepare).to.equal(1);
  });

  it('is tried again after it failed', async () => {
    const { driver, preparation } = kit();
    driver.fail('prepare', new Error('broken'));
    const both = [1, 2].map(async () => preparation.of(dice, never).catch(messageOf));
    expect(await Promise.all(both)).to.deep.equal(['broken', 'broken']);
    await preparation.of(dice, never);
    expect(driver.counts.prepare).to.equal(2);
  });

  it('goes on while one of those who wait is left', async () => {
    const { driver, preparation } = kit();
    const gate = new Gate();
    driver.next('prepare', async (signal) => gate.pass(signal));
    const stop = new AbortController();
    const first = preparation.of(dice, stop.signal).catch(messageOf);
    const second = preparation.of(dice, never);
    stop.abort(new Error('left'));
    expect(await first).to.equal('left');
    gate.open();
    expect((await second).spec).to.equal(dice);
  });

  it('is given up when all have left, and begins anew only after it ended', async () => {
    const { driver, preparation } = kit();
    const gate = new Gate();
    let aborted = false;
    driver.next('prepare', async (signal) => {
      signal.addEventListener('abort', () => (aborted = true));
      await gate.pass();
      signal.throwIfAborted();
    });
    const stop = new AbortController();
    const first = preparation.of(dice, stop.signal).catch(messageOf);
    stop.abort(new Error('left'));
    expect(await first).to.equal('left');
    expect(aborted).to.equal(true);
    const second = preparation.of(dice, never);
    expect(driver.counts.prepare).to.equal(1);
    gate.open();
    await second;
    expect(driver.counts.prepare).to.equal(2);
  });

  it('tells all who ask what it puts out, from its beginning, up to the limit of logs', async () => {
    const { driver, preparation } = kit();
    const gate = new Gate();
    driver.output = '0123456789 and more';
    driver.next('prepare', async (signal) => gate.pass(signal));
    const hear = async (): Promise<string> => {
      let heard = '';
      await preparation.of(dice, never, (piece) => (heard += Buffer.from(piece).toString()));
      return heard;
    };
    const all = [hear(), hear()];
    gate.open();
    const cut = '0123456789\n[logs cut at 10 bytes (FAAS_MAX_LOGS)]\n';
    expect(await Promise.all(all)).to.deep.equal([cut, cut]);
  });

  it('is done anew once it was forgotten', async () => {
    const { driver, preparation } = kit();
    await preparation.of(dice, never);
    preparation.forget(dice.id);
    await preparation.of(dice, never);
    preparation.clear();
    await preparation.of(dice, never);
    await eventually('three times', () => driver.counts.prepare === 3);
  });

  it('is done anew if the version was bound to another image meanwhile', async () => {
    const { driver, preparation } = kit();
    const unbound = imageSpec('dice');
    const bound = { ...unbound, imageDigest: `example/dice@sha256:${'a'.repeat(64)}` };
    await preparation.of(unbound, never);
    const prepared = await preparation.of(bound, never);
    expect(prepared.spec).to.equal(bound);
    expect(await preparation.of(unbound, never)).to.equal(prepared);
    expect(await preparation.of(bound, never)).to.equal(prepared);
    expect(driver.counts.prepare).to.equal(2);
  });
});
