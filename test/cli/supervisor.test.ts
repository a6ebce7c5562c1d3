import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { EXIT_CONFIG } from '@panal/protocol';
import { Supervisor, type Backoff } from '../../cli/src/supervisor.js';
import { eventually } from '../../testkit/wait.js';

const BACKOFF: Backoff = { firstMs: 4, mostMs: 10, resetMs: 60_000 };

describe('Supervisor', () => {
  let supervisor: Supervisor;
  let children: ChildProcess[];
  let delays: number[];
  let refusals: number;

  /** Supervises a Node.js process that runs `script`. */
  function supervise(script: string, backoff = BACKOFF, command = process.execPath): void {
    children = [];
    delays = [];
    refusals = 0;
    supervisor = new Supervisor({
      spawn: () => {
        const child = spawn(command, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
        children.push(child);
        return child;
      },
      backoff,
      onDeath: (_how, delayMs) => delays.push(delayMs),
      onRefusal: () => (refusals += 1),
    });
    supervisor.start();
  }

  afterEach(() => supervisor.kill());

  it('starts a process that dies again, each time after twice the wait, up to a bound', async () => {
    supervise('process.exit(1)');
    await eventually('four deaths', () => delays.length >= 4);
    expect(delays.slice(0, 4)).to.deep.equal([4, 8, 10, 10]);
  });

  it('waits the first wait again after a process that lived long enough', async () => {
    supervise('process.exit(1)', { ...BACKOFF, resetMs: 0 });
    await eventually('three deaths', () => delays.length >= 3);
    expect(delays.slice(0, 3)).to.deep.equal([4, 4, 4]);
  });

  it('tries a command that cannot be started again', async () => {
    supervise('', BACKOFF, '/nonexistent/command');
    await eventually('two deaths', () => delays.length >= 2);
  });

  it('does not start a process again that refused its settings', async () => {
    supervise(`process.exit(${EXIT_CONFIG})`);
    await eventually('the refusal', () => refusals === 1);
    expect(delays).to.deep.equal([]);
    expect(children).to.have.length(1);
  });

  it('stops a process by SIGTERM and does not start it again', async () => {
    supervise('process.on("SIGTERM", () => process.exit(7)); setInterval(() => {}, 1e6); console.log("up")');
    await up();
    await supervisor.stop(60_000);
    expect(children[0]?.exitCode).to.equal(7);
    expect(delays).to.deep.equal([]);
  });

  it('kills a process that does not stop in time', async () => {
    supervise('process.on("SIGTERM", () => {}); setInterval(() => {}, 1e6); console.log("up")');
    await up();
    await supervisor.stop(20);
    expect(children[0]?.signalCode).to.equal('SIGKILL');
  });

  it('stops while it waits to start a process again', async () => {
    supervise('process.exit(1)', { ...BACKOFF, firstMs: 3_600_000 });
    await eventually('the death', () => delays.length === 1);
    await supervisor.stop(60_000);
    expect(children).to.have.length(1);
  });

  async function up(): Promise<void> {
    const stdout = children[0]?.stdout;
    if (stdout) await once(stdout, 'data');
  }
});
