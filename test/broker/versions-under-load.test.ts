import { expect } from 'chai';
import { Gate } from '../support/gate.js';
import { liveBroker } from '../support/live-broker.js';
import { eventually } from '../../testkit/wait.js';

describe('versions under load, over ZeroMQ', () => {
  const broker = liveBroker();
  const run = async (): Promise<{ callNum: number; status: number; text: string }> => {
    const answer = await fetch(`${broker().url}/run/dice`, { method: 'POST', body: 'x' });
    const callNum = Number(answer.headers.get('x-call-num'));
    return { callNum, status: answer.status, text: await answer.text() };
  };
  const activate = async (version: number): Promise<void> => {
    const body = JSON.stringify({ version });
    expect((await fetch(`${broker().url}/functions/dice`, { method: 'PUT', body })).status).to.equal(200);
  };

  it('change under a stream of calls: none fails, each runs the version it was accepted with', async () => {
    const driver = await broker().worker(4);
    driver.onRun = (request, { spec }) => ({
      status: 'DONE',
      result: Buffer.from(String(spec.version)),
      logs: Buffer.alloc(0),
      runMs: 1,
      reusable: request.body.byteLength > 0,
    });
    await broker().register('dice');
    let changing = true;
    const answers: Awaited<ReturnType<typeof run>>[] = [];
    const client = async (): Promise<void> => {
      while (changing) answers.push(await run());
    };
    const clients = Promise.all(Array.from({ length: 8 }, client));
    for (let version = 2; version <= 12; version++) {
      const served = answers.length;
      expect(await broker().register('dice', {}, String(version))).to.equal(version);
      if (version % 4 === 0) await activate(version - 2);
      await eventually('some calls are served', () => answers.length > served + 20);
    }
    changing = false;
    await clients;
    expect(answers.filter(({ status }) => status !== 200)).to.deep.equal([]);
    for (const { callNum, text } of answers) {
      expect((await broker().call(callNum)).version).to.equal(Number(text));
    }
    expect(new Set(answers.map(({ text }) => text)).size).to.be.at.least(10);
    expect(driver.mostInOne).to.equal(1);
  });

  it('keep their warm sandbox until the next version has served', async () => {
    const driver = await broker().worker(1);
    await broker().register('dice');
    await run();
    const old = driver.sandboxes[0];
    const gate = new Gate();
    driver.next('start', () => gate.pass());
    await broker().register('dice', {}, '2');
    const first = run();
    await eventually('the next version starts', () => gate.arrivals === 1);
    expect(old?.removed).to.equal(false);
    await activate(1);
    gate.open();
    await first;
    expect(driver.sandboxes.map(({ removed }) => removed)).to.deep.equal([false, false]);
    await run();
    expect(driver.counts.start, 'rolled back to a warm sandbox').to.equal(2);
    await eventually('what was replaced is retired', () => driver.sandboxes[1]?.removed);
    expect(old?.removed).to.equal(false);
  });

  it('that are replaced end what they run, and what waits for them', async () => {
    const driver = await broker().worker(1);
    await broker().register('dice');
    const gate = new Gate();
    driver.next('run', () => gate.pass());
    const [running, waiting] = [await broker().invoke('dice'), await broker().invoke('dice')];
    await eventually('the first runs', () => gate.arrivals === 1);
    await broker().register('dice', {}, '2');
    const next = await broker().invoke('dice');
    gate.open();
    for (const [callNum, version] of [
      [running, 1],
      [waiting, 1],
      [next, 2],
    ] as const) {
      await eventually('it ends', async () => (await broker().call(callNum)).status === 'DONE');
      expect(await broker().call(callNum)).to.include({ version, attempts: 1 });
    }
    await eventually('the old version is retired', () => driver.sandboxes[0]?.removed);
    expect(driver.counts.start).to.equal(2);
  });
});
