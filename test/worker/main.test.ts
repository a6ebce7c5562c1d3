import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/folder.js';
import { ScriptedBroker, type ScriptedBrokerOptions } from '../support/scripted-broker.js';
import { imageSpec } from '../support/specs.js';
import { eventually } from '../../testkit/wait.js';

const main = fileURLToPath(new URL('../../worker/src/main.ts', import.meta.url));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

describe('the worker process', () => {
  const folder = temporaryFolder();
  const cleanups: (() => unknown)[] = [];

  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup();
  });

  async function brokerWith(options: ScriptedBrokerOptions = {}): Promise<ScriptedBroker> {
    const broker = await ScriptedBroker.open(options);
    cleanups.push(async () => broker.close());
    return broker;
  }

  function start(env: Record<string, string>): { child: ChildProcess; ended: Promise<Ended> } {
    const settings = { FAAS_DATA_DIR: folder(), FAAS_SANDBOX: 'process', FAAS_SLOTS: '2', ...env };
    const child = spawn(
      process.execPath,
      [...process.execArgv, '--import=tsx', '-C', '@panal/source', main],
      {
        env: { PATH: process.env.PATH, ...settings },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    cleanups.push(() => child.kill('SIGKILL'));
    const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]).then(
      ([stdout, stderr]) => ({ code: child.exitCode, stdout, stderr }),
    );
    return { child, ended };
  }

  it('leaves with a last word and code 0 when it is told to stop', async () => {
    const broker = await brokerWith();
    const { child, ended } = start({ ZMQ_CONN_ADDRESS: broker.address });
    await broker.ready(2);
    child.kill('SIGTERM');
    const { code, stdout } = await ended;
    expect(code).to.equal(0);
    await eventually('it says bye', () => broker.heard.some(({ type }) => type === 'bye'));
    for (const line of stdout.trim().split('\n')) expect(JSON.parse(line)).to.have.property('msg');
  });

  it('says in one line which setting is wrong, with code 2', async () => {
    const { ended } = start({ FAAS_SLOTS: 'many' });
    const { code, stderr, stdout } = await ended;
    expect(code).to.equal(2);
    expect(stderr).to.match(/^worker: FAAS_SLOTS .*\n$/);
    expect(stdout).to.equal('');
  });

  it('wants all CURVE keys or none', async () => {
    const { ended } = start({ FAAS_CURVE_SERVER_PUBLIC: 'x'.repeat(40) });
    const { code, stderr } = await ended;
    expect(code).to.equal(2);
    expect(stderr).to.match(/^worker: FAAS_CURVE_SERVER_PUBLIC, .* must be set together\n$/);
  });

  it('stops with code 1 when the broker refuses it', async () => {
    const broker = await brokerWith({ mute: true });
    const { ended } = start({ ZMQ_CONN_ADDRESS: broker.address });
    await eventually('a hello', () => broker.hellos.length > 0);
    broker.say({ type: 'refuse', message: 'this broker is for others' });
    const { code, stdout } = await ended;
    expect(code).to.equal(1);
    expect(stdout).to.contain('this broker is for others');
  });

  it('does not run strangers’ functions as plain processes unless it was told to', async () => {
    const broker = await brokerWith({ terms: { exposed: true } });
    const nowhere = { FAAS_SANDBOX: 'auto', DOCKER_HOST: `unix://${folder()}/none.sock` };
    const { ended } = start({ ZMQ_CONN_ADDRESS: broker.address, ...nowhere });
    const { code, stdout } = await ended;
    expect(code).to.equal(1);
    expect(stdout).to.contain('FAAS_SANDBOX=process');
    expect(broker.readySlots).to.deep.equal([]);
  });

  it('ends at once at a second signal', async () => {
    const broker = await brokerWith();
    broker.acknowledges = false;
    const { child, ended } = start({ ZMQ_CONN_ADDRESS: broker.address });
    await broker.ready(2);
    // It has an outcome to hand in, and waits for the ack.
    broker.invoke(1, 0, imageSpec('unknown'), '1', true);
    await broker.outcomeOf(1);
    child.kill('SIGTERM');
    await eventually('it drains', () => broker.heard.some(({ type }) => type === 'drain'));
    child.kill('SIGINT');
    expect((await ended).code).to.equal(1);
    expect(broker.heard.some(({ type }) => type === 'bye')).to.equal(false);
  });
});
