import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { FunctionError } from '../../worker/src/errors.js';
import type { Sandbox } from '../../worker/src/sandbox/sandbox.js';
import { eventually } from '../../testkit/wait.js';
import { pythonRuntime } from '../support/specs.js';
import { ENDING_FILES, HANDLERS_REFUSED } from './ending-table.js';
import { openRig } from './process-rig.js';
import { request, summary, text } from './requests.js';
import { runningWith } from './running.js';

const HANDLER = `
import asyncio, os, subprocess
count = 0
async def handler(params, context):
    global count
    count += 1
    if params == 'throw': raise ValueError('no good')
    if params == 'exit': os._exit(7)
    if params == 'signal': os.kill(os.getpid(), 9)
    if params.startswith('sleep'): subprocess.run(['sh', '-c', 'sleep 1000; true', params])
    print('printed', params)
    os.write(2, b'written')
    await asyncio.sleep(0)
    return [count, params, context.functionName]
`;
const params = (value: string): { body: string } => ({ body: JSON.stringify(value) });

describe('hot handlers of the process driver', () => {
  const rig = openRig(() => undefined);
  const { handler = '' } = pythonRuntime;
  const runtime = { image: 'pythonruntime', handler };
  const made = { files: { 'handler.py': HANDLER }, runtime, settings: { memoryMb: 256 } };
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await rig().start('hot', made);
  });
  afterEach(async () => {
    await sandbox.remove();
  });

  it('keep their process from call to call', async () => {
    for (let call = 1; call <= 3; call++) {
      const ended = await sandbox.run(request(params('x')));
      expect(summary(ended)).to.include({ status: 'DONE', result: `[${call},"x","f"]`, reusable: true });
      expect(text(ended.logs)).to.contain('printed x');
    }
  });

  it('that cannot be loaded say why, with file and line, in both languages', async () => {
    const node = { image: 'noderuntime:latest', handler: 'exec node "$FAAS_RUNTIME_DIR/loop.mjs"' };
    for (const [files, from, message] of [
      [
        { 'handler.py': 'def handler(p, c):\n    return (1\n' },
        runtime,
        /SyntaxError: .*handler\.py, line 2\)/,
      ],
      [
        { 'handler.py': 'import nosuch\n' },
        runtime,
        /ModuleNotFoundError: .*'nosuch' \(.*handler\.py, line 1\)/,
      ],
      [{ 'handler.mjs': '\nconst = 5;\n' }, node, /SyntaxError: Unexpected .*handler\.mjs, line 2\)/],
      [{ 'handler.mjs': "\n\nthrow new Error('no')" }, node, /Error: no \(.*handler\.mjs, line 3\)/],
    ] as const) {
      const refused = await rig()
        .start('hot', { ...made, files, runtime: from })
        .catch((error: unknown) => error);
      expect(refused).to.be.instanceOf(FunctionError);
      expect(refused).to.have.nested.property('error.code', 'START_FAILED');
      expect(refused).to.have.nested.property('error.message').that.matches(message);
    }
  });

  it('do not start if their program is none for this processor, or is not there', async () => {
    for (const [refusedHandler, exitCode, message] of HANDLERS_REFUSED) {
      const refused: unknown = await rig()
        .start('hot', { files: ENDING_FILES, runtime: { handler: refusedHandler } })
        .catch((error: unknown) => error);
      expect(refused, refusedHandler).to.be.instanceOf(FunctionError).and.to.include({ exitCode });
      expect(refused).to.have.nested.property('error.code', 'START_FAILED');
      expect(refused).to.have.nested.property('error.message').that.matches(message);
    }
  });

  it('keep it when the function throws', async () => {
    const failed = await sandbox.run(request(params('throw')));
    expect(summary(failed)).to.include({
      status: 'FAILED',
      exitCode: 1,
      code: 'FUNCTION_FAILED',
      reusable: true,
    });
    expect(failed.error?.message).to.contain('no good');
    expect(text(failed.logs)).to.contain('Traceback');
    expect(text((await sandbox.run(request(params('x')))).result)).to.equal('[2,"x","f"]');
  });

  it('fail the call when they exit, and say how', async () => {
    const exited = await sandbox.run(request(params('exit')));
    expect(summary(exited)).to.include({ status: 'FAILED', code: 'FUNCTION_FAILED', reusable: false });
    expect(exited.error?.message).to.contain('code 7');
    expect(exited.exitCode).to.equal(7);
  });

  it('fail the call when they are killed, and say how', async () => {
    const ended = await sandbox.run(request(params('signal')));
    expect(summary(ended)).to.include({ status: 'FAILED', code: 'FUNCTION_KILLED', reusable: false });
    expect(ended.exitCode).to.equal(137);
    expect(ended.error?.message).to.contain('SIGKILL');
  });

  it('are gone after a call over its time', async () => {
    const mark = `sleep-${randomUUID()}`;
    const ended = await sandbox.run(request({ ...params(mark), timeoutMs: 1000 }));
    expect(summary(ended)).to.include({ status: 'TIMEOUT', reusable: false });
    expect(ended.runMs).to.be.at.least(1000);
    await eventually('what it started is gone', async () => (await runningWith(mark)).length === 0);
  });

  it('tell when they die while idle', async () => {
    const idle = await rig().start('hot', {
      ...made,
      files: {
        'handler.py': `import os, threading\nthreading.Timer(0.3, os._exit, [1]).start()\ndef handler(p, c): pass`,
      },
    });
    let exits = 0;
    idle.onExit = () => (exits += 1);
    await eventually('it is gone', () => exits === 1);
    await idle.remove();
  });

  it('fail the start with what they printed, when they do not get ready', async () => {
    const broken = { ...made, files: { 'handler.py': 'raise RuntimeError("broken")' } };
    const error: unknown = await rig()
      .start('hot', broken)
      .catch((reason: unknown) => reason);
    if (!(error instanceof FunctionError)) throw new Error(String(error));
    expect(error.error.code).to.equal('START_FAILED');
    expect(text(error.logs)).to.contain('RuntimeError: broken');
  });

  it('do not start on a runtime without a handler', async () => {
    const error: unknown = await rig()
      .start('hot', {})
      .catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(FunctionError);
  });
});
