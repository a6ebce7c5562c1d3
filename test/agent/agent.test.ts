import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { summary, text } from '../sandbox/requests.js';
import { runningWith } from '../sandbox/running.js';
import { temporaryFolder } from '../support/folder.js';
import { foreignProgram } from '../support/foreign-program.js';
import { withBubblewrap, withCompiler } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { AgentRig, AS_INIT, AS_PROCESS, builtAgent } from './rig.js';

withCompiler('the agent, as a plain process', () => behaviour(AS_PROCESS));
withCompiler('the agent, as PID 1', () => {
  withBubblewrap('of a sandbox', () => {
    behaviour(AS_INIT);
    const rig = runningAgent(AS_INIT);

    it('cannot be signalled by a call', async () => {
      await rig().run('kill -TERM 1; kill -KILL 1; kill -STOP 1; sleep 0.05');
      expect(text((await rig().run('echo still here')).result)).to.equal('still here\n');
    });
  });
});

function runningAgent(prefix: readonly string[]): () => AgentRig {
  const folder = temporaryFolder();
  let agent = '';
  let rig: AgentRig | undefined;
  before(() => {
    agent = builtAgent();
  });
  beforeEach(async () => {
    rig = await AgentRig.start(agent, folder(), prefix);
  });
  afterEach(async () => {
    await rig?.stop();
  });
  return () => {
    if (rig === undefined) throw new Error('the agent is not running');
    return rig;
  };
}

function behaviour(prefix: readonly string[]): void {
  const rig = runningAgent(prefix);

  describe('passes on', () => {
    it('stdin, stdout and stderr, to the byte and apart', async () => {
      const body = randomBytes(300_000);
      const { result, logs } = await rig().run('tee /dev/stderr', { body, maxLogs: 1024 * 1024 });
      expect(body.equals(result)).to.equal(true);
      expect(body.equals(logs)).to.equal(true);
    });

    it('a body of several megabytes', async () => {
      const body = randomBytes(5 * 1024 * 1024);
      const { result } = await rig().exec(['cat'], { body, maxOutput: body.length });
      expect(body.equals(result)).to.equal(true);
    });

    it('the exit code', async () => {
      expect(summary(await rig().run('exit 7'))).to.include({
        status: 'FAILED',
        exitCode: 7,
        code: 'FUNCTION_FAILED',
      });
      expect(summary(await rig().run('exit 0'))).to.include({ status: 'DONE', exitCode: 0 });
    });

    it('a death by signal', async () => {
      const ended = await rig().run('kill -SEGV $$');
      expect(summary(ended)).to.include({ status: 'FAILED', exitCode: 139, code: 'FUNCTION_KILLED' });
    });

    it('arguments, environment and folder', async () => {
      const argv = ['/bin/sh', '-c', 'echo "$1|$NEW|$OF_THE_AGENT|$PWD"', 'sh', 'a b\n"c"'];
      const ended = await rig().exec(argv, { env: { NEW: 'x=y', OF_THE_AGENT: 'replaced' } }, '/usr');
      expect(text(ended.result)).to.equal('a b\n"c"|x=y|replaced|/usr\n');
    });

    it('what was written just before the end', async () => {
      const { result } = await rig().run('head -c 60000 /dev/zero; exit 0');
      expect(result.byteLength).to.equal(60_000);
    });
  });

  describe('says why a call does not start', () => {
    const folder = temporaryFolder();

    it('when there is no such program', async () => {
      const ended = await rig().exec(['no-such-program']);
      expect(summary(ended)).to.include({ exitCode: 127, code: 'START_FAILED', reusable: true });
      expect(ended.error?.message).to.contain('no-such-program: No such file');
    });

    it('when the file cannot be executed', async () => {
      const ended = await rig().exec(['/etc/passwd']);
      expect(summary(ended)).to.include({ exitCode: 126, code: 'START_FAILED' });
    });

    it('when the file is no program for this processor, and hands it to no shell', async () => {
      const file = join(folder(), 'foreign');
      await writeFile(file, foreignProgram(), { mode: 0o755 });
      const ended = await rig().exec([file]);
      expect(summary(ended)).to.include({ exitCode: 126, code: 'START_FAILED', logs: '' });
      expect(ended.error?.message).to.contain(`${file}: exec format error`);
      await writeFile(file, 'echo run by a shell\n');
      expect(summary(await rig().exec([file]))).to.include({ code: 'START_FAILED', result: '' });
      const found = await rig().exec(['foreign'], { env: { PATH: `/no/such:${folder()}:/bin` } });
      expect(found.error?.message).to.contain('foreign: exec format error');
    });

    it('when its interpreter is missing', async () => {
      const file = join(folder(), 'script');
      await writeFile(file, '#!/no/such/interpreter\n', { mode: 0o755 });
      const ended = await rig().exec(['./script'], {}, folder());
      expect(summary(ended)).to.include({ exitCode: 127, code: 'START_FAILED' });
      expect(ended.error?.message).to.contain('./script: its interpreter: No such file');
    });

    it('when its reason is longer than its frame, at a whole character', async () => {
      const ended = await rig().exec([`//${'€'.repeat(2000)}`]);
      expect(ended.error?.message).to.match(/^\/\/€+: File name too long/);
    });

    it('when its folder is missing', async () => {
      const ended = await rig().exec(['true'], {}, '/no/such/folder');
      expect(ended.error?.message).to.contain('/no/such/folder');
    });
  });

  describe('kills everything that a call started', () => {
    const leave = (mark: string): string =>
      `setsid sh -c 'sleep 1000' ${mark} & sh -c 'sleep 1000' ${mark} &`;

    it('at the deadline', async () => {
      const mark = randomUUID();
      const ended = await rig().run(`${leave(mark)} echo begun; wait`, { timeoutMs: 200 });
      expect(summary(ended)).to.include({ status: 'TIMEOUT', result: 'begun\n', reusable: true });
      expect(ended.runMs).to.be.at.least(150);
      expect(await runningWith(mark)).to.deep.equal([]);
    });

    it('when the call is cancelled', async () => {
      const mark = randomUUID();
      const cancel = new AbortController();
      const running = rig().run(`${leave(mark)} wait`, { signal: cancel.signal });
      await eventually('two processes', async () => (await runningWith(mark)).length === 2);
      cancel.abort();
      expect(summary(await running)).to.include({ status: 'CANCELLED', reusable: true });
      expect(await runningWith(mark)).to.deep.equal([]);
    });

    it('when its main process ends, though daemons hold its streams', async () => {
      const mark = randomUUID();
      const ended = await rig().run(`${leave(mark)} echo over`);
      expect(summary(ended)).to.include({ status: 'DONE', result: 'over\n' });
      expect(await runningWith(mark)).to.deep.equal([]);
    });

    it('when the worker goes away', async () => {
      const mark = randomUUID();
      const running = rig().run(`${leave(mark)} wait`);
      await eventually('two processes', async () => (await runningWith(mark)).length === 2);
      rig().channel.destroy();
      await running;
      await rig().exited();
      expect(await runningWith(mark)).to.deep.equal([]);
    });
  });

  describe('survives a call that', () => {
    afterEach(async () => {
      expect(text((await rig().run('echo next')).result)).to.equal('next\n');
    });

    it('closes its streams and goes on', async () => {
      const ended = await rig().run('exec <&- >&- 2>&-; sleep 0.2; exit 3', { body: 'unread' });
      expect(summary(ended)).to.include({ exitCode: 3 });
      expect(ended.runMs).to.be.at.least(190);
    });

    it('does not read its body', async () => {
      const ended = await rig().run('exit 0', { body: randomBytes(3 * 1024 * 1024) });
      expect(summary(ended)).to.include({ status: 'DONE' });
    });

    it('never ends its output', async () => {
      const ended = await rig().run('exec yes', { maxOutput: 100_000 });
      expect(summary(ended)).to.include({ status: 'FAILED', code: 'OUTPUT_TOO_LARGE', reusable: true });
    });

    it('floods its logs', async () => {
      const ended = await rig().run('yes | head -c 20000000 >&2; echo over', { maxLogs: 1000 });
      expect(text(ended.result)).to.equal('over\n');
      expect(text(ended.logs)).to.match(/^(y\n){500}\n\[logs cut at 1000 bytes \(FAAS_MAX_LOGS\)\]\n$/);
    });

    it('kills its own group', async () => {
      expect(summary(await rig().run('kill -KILL 0; sleep 1'))).to.include({ code: 'FUNCTION_KILLED' });
    });
  });

  it('hides its link from calls', async () => {
    const { result } = await rig().run(
      'echo "[$FAAS_SOCKET]"; ls /proc/self/fd | wc -l; ls /proc/$PPID/fd 2>&1 | wc -l',
    );
    // The shell's pipes are the three, and a fourth to read the folder itself.
    expect(text(result)).to.match(/^\[\]\n4\n/);
  });

  it('gives calls their signals back, and no new privileges', async () => {
    const { result } = await rig().exec(['grep', '-E', '^(SigBlk|SigIgn|NoNewPrivs)', '/proc/self/status']);
    expect(text(result)).to.match(/^SigBlk:\t0{16}\nSigIgn:\t0{16}\nNoNewPrivs:\t1\n$/);
  });

  it('runs hundreds of calls one after the other, and leaves no process', async () => {
    for (let i = 0; i < 200; i++) {
      const ended = await rig().run(`echo ${i}; sleep 1000 & exit 0`, { body: 'x'.repeat(i) });
      expect(text(ended.result)).to.equal(`${i}\n`);
    }
  });
}
