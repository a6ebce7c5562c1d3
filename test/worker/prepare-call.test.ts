import { expect } from 'chai';
import { FunctionError, PlatformError } from '../../worker/src/errors.js';
import { request } from '../sandbox/requests.js';
import { echo } from '../support/fake-sandbox.js';
import { Gate } from '../support/gate.js';
import { runtimeSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';
import { pairs } from './harness.js';

const dice = runtimeSpec('dice');

describe('a call that prepares its function', () => {
  const start = pairs();

  it('runs nothing, and leaves a sandbox for the next call', async () => {
    const { broker, driver } = await start();
    driver.output = 'installing\n';
    await broker.ready(2);
    broker.invoke(1, 0, dice, '', false, undefined, 'prepare');
    const outcome = await broker.outcomeOf(1);
    expect(outcome).to.include({
      status: 'DONE',
      result: '',
      logs: 'installing\n',
      start: 'warm',
      kept: true,
    });
    expect(driver.counts).to.include({ prepare: 1, start: 1, run: 0 });
    broker.invoke(2, 0, dice, '2', true);
    expect((await broker.outcomeOf(2)).result).to.equal('2');
    expect(driver.counts).to.include({ prepare: 1, start: 1, run: 1 });
  });

  it('is done at once where a sandbox stands idle', async () => {
    const { broker, driver } = await start();
    await broker.ready(2);
    broker.invoke(1, 0, dice, '1');
    await broker.outcomeOf(1);
    broker.invoke(2, 0, dice, '', true, undefined, 'prepare');
    expect(await broker.outcomeOf(2)).to.include({ status: 'DONE', kept: true });
    expect(driver.counts).to.include({ prepare: 1, start: 1, run: 1 });
  });

  it('reports what preparing puts out while it goes on', async () => {
    const { broker, driver } = await start();
    const gate = new Gate();
    driver.output = 'installing\n';
    driver.next('prepare', async () => gate.pass());
    await broker.ready(2);
    broker.invoke(1, 0, dice, '', false, undefined, 'prepare');
    await eventually('it prepares', () => gate.arrivals === 1);
    broker.say({ type: 'follow', lease: 'lease 1', on: true });
    await eventually('the piece', () => broker.logs.some(({ text }) => text === 'installing\n'));
    gate.open();
    await broker.outcomeOf(1);
  });

  it('fails as a call does, with what the failed step logged after what came before', async () => {
    const { broker, driver } = await start();
    driver.output = 'installing\n';
    driver.fail('start', new FunctionError('START_FAILED', 'no handler', Buffer.from('Traceback\n'), 1));
    await broker.ready(2);
    broker.invoke(1, 0, dice, '', false, undefined, 'prepare');
    expect(await broker.outcomeOf(1)).to.deep.include({
      status: 'FAILED',
      platform: false,
      error: { code: 'START_FAILED', message: 'no handler' },
      exitCode: 1,
      logs: 'installing\nTraceback\n',
    });
  });

  it('fails if the program of its calls cannot be started', async () => {
    const { broker, driver } = await start();
    driver.output = 'installing\n';
    const error = { code: 'START_FAILED', message: './missing: not found' } as const;
    const logs = Buffer.from('sh: ./missing: not found\n');
    driver.checked = { ...echo(request()), status: 'FAILED', error, exitCode: 127, logs };
    await broker.ready(2);
    broker.invoke(1, 0, dice, '', false, undefined, 'prepare');
    expect(await broker.outcomeOf(1)).to.deep.include({
      status: 'FAILED',
      platform: false,
      error,
      exitCode: 127,
      logs: 'installing\nsh: ./missing: not found\n',
    });
    expect(driver.counts).to.include({ run: 0 });
  });

  it('says output once that is in the error too', async () => {
    const { broker, driver } = await start();
    driver.output = 'panal: installing\nno such package\n';
    const logs = Buffer.from('no such package\n');
    driver.fail('prepare', new FunctionError('DEPENDENCIES_FAILED', 'exited with code 1', logs, 1));
    await broker.ready(2);
    broker.invoke(1, 0, dice, '', false, undefined, 'prepare');
    expect(await broker.outcomeOf(1)).to.include({ status: 'FAILED', logs: driver.output });
  });

  it('may be tried again where the platform failed, and can be cancelled', async () => {
    const { broker, driver } = await start();
    driver.fail('prepare', new PlatformError('IMAGE_PULL_FAILED', 'the registry is away'));
    await broker.ready(2);
    broker.invoke(1, 0, dice, '', false, undefined, 'prepare');
    expect(await broker.outcomeOf(1)).to.include({ status: 'FAILED', platform: true });
    const gate = new Gate();
    driver.next('prepare', async (signal) => gate.pass(signal));
    broker.invoke(2, 0, dice, '', true, undefined, 'prepare');
    await eventually('it prepares', () => gate.arrivals === 1);
    broker.say({ type: 'cancel', lease: 'lease 2' });
    expect(await broker.outcomeOf(2)).to.include({ status: 'CANCELLED' });
  });
});
