import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { builtAgent } from '../agent/rig.js';
import { withBubblewrap, withCompiler } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { ENDING_FILES, ending, ENDINGS } from './ending-table.js';
import { checkOf } from '../../worker/src/contracts/command/run-command.js';
import { openRig, type Isolation } from './process-rig.js';
import { request, summary, text } from './requests.js';
import { PARAMETER, RUN_FILES, SCRIPTS, SIMPLE } from './run-table.js';
import { runningWith } from './running.js';

const none = (): undefined => undefined;

describe('the process driver, bare, without an agent', () => behaviour(none, 'bare'));
withCompiler('the process driver, bare, with an agent', () => behaviour(builtAgent, 'bare'));
withBubblewrap('the process driver with bubblewrap', () => {
  describe('without an agent', () => behaviour(none, 'bubblewrap'));
  withCompiler('with an agent', () => behaviour(builtAgent, 'bubblewrap'));
});

function behaviour(agent: () => string | undefined, isolation: Isolation): void {
  const rig = openRig(agent, isolation);

  it('returns stdout as the result, stderr as the logs, and the exit code', async () => {
    const ended = await rig().once('cat; echo log >&2; exit 4', { body: 'in \0 out' });
    expect(summary(ended)).to.include({ status: 'FAILED', result: 'in \0 out', logs: 'log\n', exitCode: 4 });
    expect(ended.error).to.deep.equal({ code: 'FUNCTION_FAILED', message: 'exited with code 4' });
  });

  it('gives the parameter in the environment', async () => {
    const { result } = await rig().once('printf %s "$FAAS_PARAMS"', { env: { FAAS_PARAMS: '{"a":"b c"}' } });
    expect(text(result)).to.equal('{"a":"b c"}');
  });

  it('gives the parameter to a simple command as its last argument, and to a script as $1', async () => {
    const options = { argument: PARAMETER, body: 'line of stdin\n' };
    for (const [run, prints] of Object.entries({ ...SIMPLE, ...SCRIPTS })) {
      const ended = await rig().once(run, options, { files: RUN_FILES });
      expect(text(ended.result), run).to.equal(prints);
    }
  });

  it('tells how it ended, by its exit code and its signal', async () => {
    for (const [run, { code, exitCode, message }] of Object.entries(ENDINGS)) {
      for (const lifecycle of ['fresh', 'warm'] as const) {
        const sandbox = await rig().start(lifecycle, { files: ENDING_FILES, runtime: { run } });
        const ended = await sandbox.run(request());
        await sandbox.remove();
        expect(ending(ended), `${lifecycle} ${run}`).to.deep.equal({ code, exitCode });
        expect(ended.error?.message, `${lifecycle} ${run}`).to.match(message);
      }
    }
  });

  it('finds a program that cannot start without a call', async () => {
    for (const run of ['./missing', 'nosuchprogram', './plain', './foreign', 'cat', 'A=1 sh -c "exit 3"']) {
      const sandbox = await rig().start('warm', { files: ENDING_FILES, runtime: { run } });
      const checked = await sandbox.check(checkOf(run) ?? [], new AbortController().signal);
      await sandbox.remove();
      expect(checked?.error?.code, run).to.equal(ENDINGS[run]?.code);
      if (checked?.error !== undefined)
        expect(checked.error.message, run).to.match(ENDINGS[run]?.message ?? /never/);
    }
  });

  it('runs in a folder with the bundle, which the call may change for itself alone', async () => {
    const made = { files: { 'code.txt': 'original' }, runtime: { run: 'cat code.txt; echo new > code.txt' } };
    const [one, other] = await Promise.all([rig().start('warm', made), rig().start('warm', made)]);
    expect(text((await one.run(request())).result)).to.equal('original');
    expect(text((await one.run(request())).result)).to.equal('new\n');
    expect(text((await other.run(request())).result)).to.equal('original');
    expect(text((await rig().once('cat code.txt', {}, made)).result)).to.equal('original');
  });

  it("tells nothing of the worker's own environment", async () => {
    process.env.SECRET_OF_THE_WORKER = 'secret';
    try {
      const { result } = await rig().once(
        'env',
        { env: { FAAS_PARAMS: '1' } },
        { settings: { env: { OWN: 'yes' } } },
      );
      const names = text(result)
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0]);
      const expected = ['FAAS_PARAMS', 'HOME', 'LANG', 'OWN', 'PATH', 'PWD', 'PYTHONUSERBASE', 'TMPDIR'];
      expect(names.sort()).to.include.members(expected);
      expect(names.filter((name) => !expected.includes(name ?? ''))).to.deep.equal(
        // Shells set these themselves.
        names.filter((name) => ['_', 'OLDPWD', 'SHLVL'].includes(name ?? '')),
      );
    } finally {
      delete process.env.SECRET_OF_THE_WORKER;
    }
  });

  it('stops a call at its deadline, with all that it started', async () => {
    const mark = randomUUID();
    const ended = await rig().once(`sh -c 'sleep 1000' ${mark} & echo begun; sleep 1000`, { timeoutMs: 300 });
    expect(summary(ended)).to.include({ status: 'TIMEOUT', result: 'begun\n', code: 'TIMEOUT' });
    await eventually('its processes are gone', async () => (await runningWith(mark)).length === 0);
  });

  it('stops a call that is cancelled', async () => {
    const cancel = new AbortController();
    const onLog = (): void => cancel.abort();
    const ended = await rig().once('echo begun >&2; sleep 1000', { signal: cancel.signal, onLog });
    expect(summary(ended)).to.include({ status: 'CANCELLED', logs: 'begun\n', code: 'CANCELLED' });
  });

  it('stops a call that writes too much', async () => {
    const ended = await rig().once('yes', { maxOutput: 10_000 });
    expect(summary(ended)).to.include({ status: 'FAILED', code: 'OUTPUT_TOO_LARGE', result: '' });
  });

  it('kills leftover processes between the calls of a warm sandbox', async () => {
    const mark = randomUUID();
    const sandbox = await rig().start('warm', { runtime: { run: `sh -c 'sleep 1000' ${mark} & true` } });
    const ended = await sandbox.run(request());
    expect(summary(ended)).to.include({ status: 'DONE', reusable: true });
    await eventually('they are gone', async () => (await runningWith(mark)).length === 0);
    expect(summary(await sandbox.run(request()))).to.include({ status: 'DONE', reusable: true });
  });

  it('leaves nothing of a fresh sandbox', async () => {
    const sandboxes = join(rig().dataDir, 'sandboxes');
    const before = await readdir(sandboxes);
    const ended = await rig().once('echo > left; echo > "$TMPDIR/left"; echo > "$HOME/left"');
    expect(summary(ended)).to.include({ status: 'DONE', reusable: false });
    expect(await readdir(sandboxes)).to.deep.equal(before);
  });

  it('removes a sandbox while a call runs in it', async () => {
    const mark = randomUUID();
    const sandbox = await rig().start('warm', { runtime: { run: `sh -c 'sleep 1000' ${mark}; true` } });
    const running = sandbox.run(request());
    await eventually('it runs', async () => (await runningWith(mark)).length > 0);
    await Promise.all([sandbox.remove(), sandbox.remove()]);
    expect(summary(await running)).to.include({ status: 'FAILED', reusable: false });
    await eventually('it is gone', async () => (await runningWith(mark)).length === 0);
  });
}
