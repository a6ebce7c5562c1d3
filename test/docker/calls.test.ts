import { expect } from 'chai';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import { PARAMETER, RUN_FILES, SAMPLE, SCRIPTS, SIMPLE } from '../sandbox/run-table.js';
import { withEngine } from '../support/groups.js';
import { buildExamples, call, Rig, runOnce, started, text, WAYS } from './rig.js';

for (const way of WAYS) {
  withEngine(`a call in a container, by the way "${way}"`, () => {
    let rig: Rig;
    let driver: DockerDriver;

    before(async () => {
      await buildExamples();
      rig = await Rig.make();
      ({ driver } = await rig.open(way));
    });
    after(async () => {
      await rig.remove();
    });

    it('brings every byte of its input to stdin, and of stdout back', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const { status, result, logs, exitCode } = await runOnce(driver, await rig.shell('cat'), call(bytes));
      expect(status).to.equal('DONE');
      expect([...result]).to.deep.equal([...bytes]);
      expect(text(logs)).to.equal('');
      expect(exitCode).to.equal(0);
    });

    it('brings more than fits any buffer', async () => {
      const bytes = Buffer.alloc(3_000_000, 'panal ');
      const { result } = await runOnce(driver, await rig.shell('cat'), call(bytes));
      expect(Buffer.compare(Buffer.from(result), bytes)).to.equal(0);
    });

    it('keeps stderr apart, as logs', async () => {
      const { result, logs } = await runOnce(driver, await rig.shell('echo out; echo err >&2'));
      expect(text(result)).to.equal('out\n');
      expect(text(logs)).to.equal('err\n');
    });

    it('fails with the exit code of its process', async () => {
      const { status, exitCode, error } = await runOnce(driver, await rig.shell('exit 3'));
      expect(status).to.equal('FAILED');
      expect(exitCode).to.equal(3);
      expect(error?.code).to.equal('FUNCTION_FAILED');
    });

    it('runs in the folder of its code, with its argument and environment', async () => {
      const spec = await rig.shell('pwd; cat hello.txt; echo "$SET $FAAS_PARAMS"; printf "%s," "$1"', {
        settings: { env: { SET: 'by owner' } },
      });
      const request = call('', { argument: '{"a": "b c"}', env: { FAAS_PARAMS: 'by caller' } });
      expect(text((await runOnce(driver, spec, request)).result)).to.equal(
        '/ws\nhello\nby owner by caller\n{"a": "b c"},',
      );
    });

    it('gives the parameter to a simple command as its last argument, and to a script as $1', async () => {
      const files = Object.entries(RUN_FILES).map(([name, content]) => ({ name, content }));
      const request = call('line of stdin\n', { argument: PARAMETER });
      // Every way is handed the same command: one of them is enough to go through the whole table.
      const rows = Object.entries(way === 'agent' ? { ...SIMPLE, ...SCRIPTS } : SAMPLE);
      for (const [run, prints] of rows) {
        const { result } = await runOnce(driver, await rig.shell(run, { files }), request);
        expect(text(result), run).to.equal(prints);
      }
    });

    it('runs the command of an image, with the argument last', async () => {
      const { result } = await runOnce(
        driver,
        rig.image('example/reverse-string'),
        call('', { argument: 'hello' }),
      );
      expect(text(result)).to.equal('olleh\n');
    });

    it('runs an image without a shell', async () => {
      const request = call('in', { argument: 'exit=7' });
      const { result, exitCode } = await runOnce(driver, rig.image('example/noshell'), request);
      expect(text(result)).to.equal('exit=7\nin');
      expect(exitCode).to.equal(7);
    });

    it('runs as the user that the image names', async () => {
      const image = await rig.build('FROM busybox:latest', 'USER 65534:65534', 'ENTRYPOINT ["id", "-u"]');
      expect(text((await runOnce(driver, rig.image(image))).result)).to.equal('65534\n');
    });

    it('says that a command which is not in the image did not start', async () => {
      const image = await rig.build('FROM busybox:latest', 'ENTRYPOINT ["/no/such/program"]');
      const { status, error } = await runOnce(driver, rig.image(image));
      expect(status).to.equal('FAILED');
      expect(error?.code).to.equal('START_FAILED');
    });

    it('ends at its deadline, with all that it started', async () => {
      const spec = await rig.shell('echo begun; sleep 100');
      const { status, result, error } = await runOnce(driver, spec, call('', { timeoutMs: 400 }));
      expect(status).to.equal('TIMEOUT');
      expect(error?.code).to.equal('TIMEOUT');
      expect(text(result)).to.equal('begun\n');
    });

    it('ends when it is cancelled', async () => {
      const cancel = new AbortController();
      const request = call('', { signal: cancel.signal, onLog: () => cancel.abort() });
      const { status } = await runOnce(driver, await rig.shell('echo up >&2; sleep 100'), request);
      expect(status).to.equal('CANCELLED');
    });

    it('is stopped when it writes too much', async () => {
      const { status, error, result } = await runOnce(
        driver,
        await rig.shell('yes'),
        call('', { maxOutput: 10_000 }),
      );
      expect(status).to.equal('FAILED');
      expect(error?.code).to.equal('OUTPUT_TOO_LARGE');
      expect(result).to.have.length(0);
    });

    it('is told to have run out of memory', async () => {
      const spec = await rig.shell('head -c 200m /dev/zero | tail', { settings: { memoryMb: 32 } });
      const { status, error } = await runOnce(driver, spec);
      expect(status).to.equal('FAILED');
      expect(error).to.deep.equal({
        code: 'OUT_OF_MEMORY',
        message: 'took more than 32 MiB of memory (memoryMb of the function)',
      });
    });

    it('need not read its input', async () => {
      const { status, result } = await runOnce(
        driver,
        await rig.shell('echo done'),
        call(Buffer.alloc(1 << 20)),
      );
      expect(status).to.equal('DONE');
      expect(text(result)).to.equal('done\n');
    });

    it('may close its streams before it ends', async () => {
      const spec = await rig.shell('echo out; exec >&- 2>&-; sleep 0.3; exit 4');
      const { exitCode, result } = await runOnce(driver, spec);
      expect(exitCode).to.equal(4);
      expect(text(result)).to.equal('out\n');
    });

    it('finds the files of the call before in a warm sandbox, and a process of its own', async () => {
      const spec = await rig.shell('cat /tmp/kept; echo $PPID > /tmp/kept; echo kept');
      const sandbox = await started(driver, spec, 'warm');
      const first = await sandbox.run(call());
      const second = await sandbox.run(call());
      await sandbox.remove();
      expect(first.reusable).to.be.true;
      expect(text(first.result)).to.equal('kept\n');
      expect(text(second.result)).to.match(/^\d+\nkept\n$/);
    });

    it('leaves nothing behind that a later call in a warm sandbox could meet', async () => {
      const spec = await rig.shell('tail -f /dev/null >/dev/null 2>&1 & sleep 0.1; pidof tail | wc -w');
      const sandbox = await started(driver, spec, 'warm');
      const first = await sandbox.run(call());
      expect(text(first.result)).to.equal('1\n');
      if (first.reusable) expect(text((await sandbox.run(call())).result)).to.equal('1\n');
      await sandbox.remove();
    });

    it('leaves no container behind', async () => {
      expect(await rig.containers()).to.deep.equal([]);
    });
  });
}
