import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import { FunctionError } from '../../worker/src/errors.js';
import { checkOf } from '../../worker/src/contracts/command/run-command.js';
import { ending, ENDING_FILES, ENDINGS, HANDLERS_REFUSED } from '../sandbox/ending-table.js';
import { foreignProgram } from '../support/foreign-program.js';
import { withEngine } from '../support/groups.js';
import { pythonRuntime } from '../support/specs.js';
import { call, Rig, runOnce, started, WAYS } from './rig.js';

/** Lines of Dockerfiles whose images cannot run, and the reason that their owners are told. */
const FAULTS: Readonly<Record<string, RegExp>> = {
  'USER nosuchuser': /nosuchuser/,
  'USER 0:nosuchgroup': /nosuchgroup/,
  'USER 4294967296': /range/,
  'VOLUME /': /destination can't be '\/'/,
  'VOLUME relative': /absolute/,
  'VOLUME /sys/volume': /read-only/,
  'VOLUME /proc': /\/proc/,
};

for (const way of WAYS) {
  withEngine(`the end of a call in a container, by the way "${way}"`, () => {
    let rig: Rig;
    let driver: DockerDriver;

    before(async () => {
      rig = await Rig.make();
      ({ driver } = await rig.open(way));
    });
    after(async () => rig.remove());

    for (const lifecycle of ['fresh', 'warm'] as const) {
      it(`is told by its exit code and its signal, in a ${lifecycle} sandbox`, async () => {
        for (const [run, { code, exitCode, message }] of Object.entries(ENDINGS)) {
          const spec = await rig.shell(run, { files: ENDING_FILES });
          const ended = await runOnce(driver, spec, call(), lifecycle);
          expect(ending(ended), run).to.deep.equal({ code, exitCode });
          expect(ended.error?.message, run).to.match(message);
          if (code === 'START_FAILED') expect(ended.result.byteLength, run).to.equal(0);
        }
      });
    }

    it('is found without a call if the program cannot start', async () => {
      for (const run of ['./missing', 'nosuchprogram', './plain', './foreign', 'cat']) {
        for (const lifecycle of ['fresh', 'warm'] as const) {
          const sandbox = await started(driver, await rig.shell(run, { files: ENDING_FILES }), lifecycle);
          const checked = await sandbox.check(checkOf(run) ?? [], new AbortController().signal);
          await sandbox.remove();
          expect(checked?.error?.code, run).to.equal(ENDINGS[run]?.code);
          if (checked?.error !== undefined)
            expect(checked.error.message, run).to.match(ENDINGS[run]?.message ?? /never/);
        }
      }
    });

    it('is told for an image whose program cannot run', async () => {
      const foreign = foreignProgram().toString('base64');
      const image = await rig.build(
        'FROM busybox:latest',
        `RUN echo ${foreign} | base64 -d > /foreign && printf '#!/no/such\\n' > /orphan && chmod +x /foreign /orphan`,
        'CMD ["/foreign"]',
      );
      const orphan = await rig.build(`FROM ${image}`, 'CMD ["/orphan"]');
      for (const lifecycle of ['fresh', 'warm'] as const) {
        const ended = await runOnce(driver, rig.image(image), call('', { argument: 'x' }), lifecycle);
        expect(ending(ended)).to.deep.equal({ code: 'START_FAILED', exitCode: 126 });
        expect(ended.error?.message).to.match(/\/foreign: exec format error/);
        const other = await runOnce(driver, rig.image(orphan), call(), lifecycle);
        expect(ending(other)).to.deep.equal({ code: 'START_FAILED', exitCode: 127 });
        expect(other.error?.message).to.match(/\/orphan: its interpreter: no such file/i);
      }
    });

    for (const [line, reason] of Object.entries(FAULTS)) {
      it(`is told at once for an image with ${line}`, async () => {
        const image = await rig.build('FROM busybox:latest', line, 'ENTRYPOINT ["echo"]');
        const error = await failure(driver, rig, image);
        expect(error.code).to.equal('START_FAILED');
        expect(error.message)
          .to.match(reason)
          .and.not.match(/HTTP code|OCI runtime/);
      });
    }

    it('is told at once for an image whose working directory is a file', async () => {
      const image = await workingIn(rig, '/etc/passwd');
      const error = await failure(driver, rig, image);
      expect(error.code).to.equal('START_FAILED');
      expect(error.message).to.match(/\/etc\/passwd.*not a directory/);
    });
  });
}

withEngine('the end of a hot handler in a container', () => {
  let rig: Rig;
  let driver: DockerDriver;

  before(async () => {
    rig = await Rig.make();
    ({ driver } = await rig.open('agent'));
  });
  after(async () => rig.remove());

  const handler = 'import os\ndef handler(params, context):\n    exec(params)\n';
  const hot = async (content: string) =>
    await rig.shell('', { runtime: pythonRuntime, files: [{ name: 'handler.py', content }] });

  it('is told by its exit code and its signal', async () => {
    for (const [params, code, exitCode, message] of [
      ['os._exit(3)', 'FUNCTION_FAILED', 3, /exited with code 3/],
      ['os._exit(0)', 'FUNCTION_FAILED', 0, /exited with code 0/],
      ['os.kill(os.getpid(), 11)', 'FUNCTION_KILLED', 139, /SIGSEGV/],
      ['os.kill(os.getpid(), 9)', 'FUNCTION_KILLED', 137, /SIGKILL/],
    ] as const) {
      const ended = await runOnce(driver, await hot(handler), call(JSON.stringify(params)), 'hot');
      expect(ending(ended), params).to.deep.equal({ code, exitCode });
      expect(ended.error?.message, params).to.match(message);
    }
  });

  it('is told if its program is none for this processor, or is not there', async () => {
    for (const [handler, exitCode, message] of HANDLERS_REFUSED) {
      const spec = await rig.shell('', { runtime: { handler }, files: ENDING_FILES });
      const error: unknown = await started(driver, spec, 'hot').catch((reason: unknown) => reason);
      if (!(error instanceof FunctionError)) throw error;
      expect(error.error.code, handler).to.equal('START_FAILED');
      expect(error.error.message, handler).to.match(message);
      expect(error.exitCode, handler).to.equal(exitCode);
    }
  });

  it('is told if it ends before it is ready', async () => {
    for (const [content, message, exitCode] of [
      ['import os; os._exit(4)', /exited with code 4/, 4],
      ['import os; os.kill(os.getpid(), 11)', /SIGSEGV/, 139],
    ] as const) {
      const error: unknown = await started(driver, await hot(content), 'hot').catch(
        (reason: unknown) => reason,
      );
      if (!(error instanceof FunctionError)) throw error;
      expect(error.error.code).to.equal('START_FAILED');
      expect(error.error.message).to.match(message);
      expect(error.exitCode).to.equal(exitCode);
    }
  });
});

/** How a call of an image that cannot run fails, before or in its run: by the function, not the platform. */
async function failure(
  driver: DockerDriver,
  rig: Rig,
  image: string,
): Promise<{ code?: string; message?: string }> {
  const result = await runOnce(driver, rig.image(image)).catch((reason: unknown) => reason);
  if (result instanceof FunctionError) return result.error;
  if (result instanceof Error) throw result;
  return (result as { error?: { code: string; message: string } }).error ?? {};
}

/** An image that no builder makes. */
async function workingIn(rig: Rig, folder: string): Promise<string> {
  const container = await rig.docker.createContainer({ Image: 'busybox:latest', Cmd: ['true'] });
  const name = `panal-test/${rig.owner}-working-in`;
  rig.discard(name);
  await promisify(execFile)('docker', [
    'commit',
    '--change',
    `WORKDIR ${folder}`,
    '--change',
    'ENTRYPOINT ["echo"]',
    container.id,
    name,
  ]);
  await container.remove();
  return name;
}
