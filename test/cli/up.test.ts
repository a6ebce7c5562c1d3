import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { eventually } from '../../testkit/wait.js';

const FIXTURE = fileURLToPath(new URL('fixtures/up.ts', import.meta.url));

describe('panal up', () => {
  const folder = temporaryFolder();
  let up: ChildProcess | undefined;
  let output = '';

  function start(env: NodeJS.ProcessEnv = {}): ChildProcess {
    output = '';
    const child = spawn(process.execPath, [...process.execArgv, FIXTURE], {
      env: { ...process.env, FAAS_DATA_DIR: folder(), FAAS_GRACE_MS: '60000', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    up = child;
    return child;
  }

  /** What the members noted, as `NAME EVENT`. */
  const events = (): string[] => notes().map(([name, event]) => `${name} ${event}`);

  function notes(): string[][] {
    const file = join(folder(), 'events');
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' '));
  }

  const ready = (): Promise<unknown> =>
    eventually('the greeting', () => output.includes('Ctrl-C stops everything') && events().length >= 2);

  const exitCode = async (child: ChildProcess): Promise<unknown> => {
    if (child.exitCode === null) await once(child, 'exit');
    return child.exitCode;
  };

  afterEach(async () => {
    if (up?.exitCode !== null || up.signalCode !== null) return;
    up.kill('SIGKILL');
    await once(up, 'exit');
  });

  it('greets with the address, the sandbox, the runtimes and a call to try', async () => {
    start();
    await ready();
    expect(output).to.match(/Panal is ready at http:\/\/127\.0\.0\.1:\d+/);
    expect(output).to.contain('no container engine answers, so functions run as processes of this machine');
    expect(output).to.contain('noderuntime, pythonruntime');
    expect(output).to.match(/curl .*\/registerFunction\/pythonruntime\/dice/);
  });

  it('says what it leaves open to others, and with which setting that ends', async () => {
    start({ HOST: '0.0.0.0' });
    await ready();
    expect(output).to.match(/OPEN TO OTHERS: FAAS_AUTH=open with HOST=0.0.0.0: .*set FAAS_AUTH=required/);
    expect(output).not.to.contain('CURVE');
  });

  it('tells the logs of broker and workers apart', async () => {
    start({ FAAS_WORKERS: '2' });
    await eventually(
      'every log',
      () =>
        ['worker-1', 'worker-2'].every((name) => output.includes(`${name}  info  connecting`)) &&
        output.includes('listening'),
    );
    expect(output).to.match(/^[\d:.]{12} broker {4}info {2}listening/m);
    expect(output).to.match(/^[\d:.]{12} worker-1 {2}info {2}connecting/m);
  });

  it('sends the workers to where the broker binds', async () => {
    start({ ZMQ_BIND_ADDRESS: 'tcp://*:4321' });
    await eventually('the address', () => output.includes('to=tcp://127.0.0.1:4321'));
  });

  it('stops the workers first, and then the broker, at one Ctrl-C that npm hands on twice', async () => {
    const child = start({ FAAS_WORKERS: '2' });
    await eventually('all members', () => events().filter((event) => event.endsWith('started')).length === 3);
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect(await exitCode(child)).to.equal(0);
    const ends = events().slice(3);
    expect(ends.slice(0, 2)).to.have.members(['worker-1 stopped', 'worker-2 stopped']);
    expect(ends.slice(2)).to.deep.equal(['broker stopped']);
  });

  it('does not wait for running calls after a second Ctrl-C', async () => {
    const child = start({ STUBBORN: '1' });
    await ready();
    await eventually('its end', () => {
      child.kill('SIGINT');
      return child.exitCode !== null;
    });
    expect(child.exitCode).to.equal(130);
    expect(events()).to.contain('worker-1 asked');
  });

  it('starts a worker that died again', async () => {
    start();
    await ready();
    process.kill(Number(notes().find(([name]) => name === 'worker-1')?.[2]), 'SIGKILL');
    await eventually('the next', () => events().filter((event) => event === 'worker-1 started').length === 2);
    expect(output).to.contain('died (SIGKILL); starts again in 250 ms');
  });

  it('ends with exit code 2 when a worker refuses its settings', async () => {
    const child = start({ REFUSE: '1' });
    expect(await exitCode(child)).to.equal(2);
    expect(output).to.contain('worker-1  FAAS_SANDBOX=process is refused here');
  });

  it('ends with exit code 1, and starts nothing again, when a worker says that it cannot run here', async () => {
    const child = start({ REFUSE: 'by message' });
    expect(await exitCode(child)).to.equal(1);
    expect(output).to.contain('worker-1  FAAS_DATA_DIR cannot be used').and.not.to.contain('starts again');
  });

  it('ends with what the broker said, and without a worker, when the broker cannot start', async () => {
    const child = start({ BROKER_REFUSES: '1' });
    expect(await exitCode(child)).to.equal(1);
    expect(output.trim()).to.match(/^broker +the store is used by another broker$/);
    expect(events()).to.deep.equal([]);
  });

  it('leaves no child behind when it is killed itself', async () => {
    const child = start();
    await ready();
    child.kill('SIGKILL');
    await eventually('the ends', () => events().filter((event) => event.endsWith('orphaned')).length === 2);
  });
});
