import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { tarGz, zip, type ArchiveEntry } from '../../testkit/archives.js';
import { withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { NpmStart } from './npm-start.js';

const EXAMPLES = fileURLToPath(new URL('../../runtimes', import.meta.url));
const DICE = /^\[[1-6],[1-6],[1-6],[1-6]\]\s*$/;

/** The files of an example, as they are packed. */
async function filesOf(folder: string): Promise<ArchiveEntry[]> {
  const names = await readdir(folder);
  return await Promise.all(
    names.map(async (name) => ({ name, content: await readFile(join(folder, name)), mode: 0o644 })),
  );
}

function itRunsFunctions(sandbox: 'docker' | 'process'): void {
  let folder: string;
  let panal: NpmStart;

  before(async function () {
    // The two bundled images may have to be built first.
    this.timeout(300_000);
    folder = await mkdtemp(join(tmpdir(), 'panal-system-'));
    panal = await NpmStart.run(folder, {
      FAAS_SANDBOX: sandbox,
      FAAS_WORKERS: '2',
      FAAS_HEARTBEAT_MS: '100',
      FAAS_LEASE_MS: '1000',
      FAAS_BACKOFF_MS: '50',
    });
  });

  after(async () => {
    await panal.interrupt();
    await rm(folder, { recursive: true, force: true });
  });

  it('greets with its address, its sandbox and the bundled runtimes', async () => {
    expect(panal.output).to.contain(panal.url).and.to.contain(sandbox);
    expect((await panal.request('GET', '/runtimes')).text).to.equal('["noderuntime","pythonruntime"]');
    expect((await panal.request('GET', '/readyz')).status).to.equal(200);
  });

  it('registers runtimes of its users', async () => {
    const python = {
      image: 'pythonruntime',
      path: '/ws',
      dependencies: 'pip3 install -r requirements.txt',
      run: 'python3 test.py',
    };
    expect((await panal.post('/registerRuntime', { ...python, name: 'python-dice' })).status).to.equal(201);
    const node = { image: 'noderuntime', path: '/ws', dependencies: 'npm install', run: 'node test.js' };
    expect((await panal.post('/registerRuntime', { ...node, name: 'node-dice' })).status).to.equal(201);
    expect((await panal.post('/registerRuntime', { ...node, name: 'node-dice' })).status).to.equal(200);
  });

  for (const [language, runtime] of [
    ['python', 'python-dice'],
    ['nodejs', 'node-dice'],
  ] as const) {
    for (const [format, pack] of [
      ['tar.gz', tarGz],
      ['zip', zip],
    ] as const) {
      it(`rolls dice in ${language} from a .${format}, polling and waiting`, async function () {
        this.timeout(300_000);
        const name = `dice-${language}-${format.replace('.', '')}`;
        const archive = pack(await filesOf(join(EXAMPLES, language, 'examples', 'dice')));
        const registered = await panal.upload(
          `/registerFunction/${runtime}/${name}`,
          archive,
          `dice.${format}`,
        );
        expect(registered.json).to.include({ functionName: name, runtimeName: runtime, version: 1 });
        expect(registered.status).to.equal(201);

        const accepted = await panal.post('/invokeFunction', { funcName: name, params: { roll: '4d6' } });
        expect(accepted.status).to.equal(202);
        expect(accepted.json).to.include({ status: 'PENDING' });
        expect(accepted.headers.get('location')).to.equal(`/call/${String(accepted.json.callNum)}`);
        const polled = await panal.settled(accepted.json.callNum, 280_000);
        expect(polled).to.include({ status: 'DONE', exitCode: 0, start: 'warm' });
        expect(polled.result).to.match(DICE);

        const waited = await panal.post('/invokeFunction?wait=60', {
          funcName: name,
          params: { roll: '4d6' },
        });
        expect(waited.status).to.equal(200);
        expect(waited.json.result).to.match(DICE);

        const raw = await panal.post(`/run/${name}`, { roll: '4d6' });
        expect(raw.status).to.equal(200);
        expect(raw.text).to.match(DICE);
      });
    }
  }

  it("shows a function's own failure with its exit code and its logs", async () => {
    const failed = await panal.post('/invokeFunction?wait=60', {
      funcName: 'dice-python-zip',
      params: { roll: '?' },
    });
    expect(failed.json).to.include({ status: 'FAILED', exitCode: 1 });
    expect(failed.json.logs).to.not.equal('');
    expect((await panal.post('/run/dice-python-zip', { roll: '?' })).status).to.equal(502);
  });

  it('still answers every call when one of two workers is killed while they run', async () => {
    const code = 'import sys, time, json; n = json.load(sys.stdin)["n"]; time.sleep(0.3); print(n, end="")';
    await panal.upload(
      '/registerFunction/pythonruntime/slow',
      tarGz([{ name: 'test.py', content: code }]),
      'slow.tar.gz',
    );
    const accepted = await Promise.all(
      Array.from({ length: 24 }, (_, n) =>
        panal.post('/invokeFunction', { funcName: 'slow', params: { n } }),
      ),
    );
    await eventually('calls run on both workers', async () => {
      const { json } = await panal.request('GET', '/calls?status=RUNNING&funcName=slow');
      const workers = new Set(Object.values(json).map((call) => (call as { worker: string }).worker));
      return workers.size === 2;
    });
    const pid = Number((await readFile(join(folder, 'worker-1', 'worker.pid'), 'utf8')).split(' ')[0]);
    process.kill(pid, 'SIGKILL');
    const calls = await Promise.all(accepted.map(({ json }) => panal.settled(json.callNum, 100_000)));
    expect(calls.map(({ status }) => status)).to.deep.equal(calls.map(() => 'DONE'));
    expect(calls.map(({ result }) => result)).to.deep.equal(calls.map((_, n) => String(n)));
    expect(Math.max(...calls.map(({ attempts }) => Number(attempts)))).to.equal(2);
    await eventually('the killed worker is started again', async () => {
      const workers: unknown = JSON.parse((await panal.request('GET', '/workers')).text);
      return Array.isArray(workers) && workers.length === 2;
    });
  });

  it('stops cleanly by one Ctrl-C, and has its calls when it is started again', async () => {
    expect(await panal.interrupt()).to.equal(0);
    panal = await NpmStart.run(folder, { FAAS_SANDBOX: sandbox, FAAS_WORKERS: '1' });
    const { json } = await panal.request('GET', '/calls?limit=1000&funcName=slow');
    expect(Object.keys(json)).to.have.length(24);
  });
}

describe('npm start with the process sandbox', () => itRunsFunctions('process'));

withEngine('npm start with the docker sandbox', () => {
  itRunsFunctions('docker');

  const containers = (): string =>
    execFileSync('docker', ['ps', '-aq', '--filter', 'label=panal.worker'], { encoding: 'utf8' });
  let folder: string;
  let panal: NpmStart;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'panal-system-'));
    execFileSync(fileURLToPath(new URL('../images/build', import.meta.url)));
    panal = await NpmStart.run(folder, { FAAS_SANDBOX: 'auto' });
  });

  after(async () => {
    await panal.interrupt();
    await rm(folder, { recursive: true, force: true });
  });

  it('runs an image function with its argument', async () => {
    const image = { functionName: 'reverse', image: 'example/reverse-string' };
    expect((await panal.post('/registerFunction', image)).status).to.equal(201);
    const call = await panal.post('/invokeFunction?wait=60', { funcName: 'reverse', params: 'hello' });
    expect(call.json).to.include({ status: 'DONE', result: 'olleh\n', start: 'fresh', exitCode: 0 });
    expect((await panal.request('POST', '/run/reverse', 'stressed')).text).to.equal('desserts\n');
  });

  it('fails a call of an unknown image with IMAGE_NOT_FOUND', async () => {
    await panal.post('/registerFunction', { functionName: 'ghost', image: 'example/there-is-no-such-image' });
    const call = await panal.post('/invokeFunction?wait=60', { funcName: 'ghost' });
    expect(call.json.status).to.equal('FAILED');
    expect(call.json.error).to.include({ code: 'IMAGE_NOT_FOUND' });
  });

  it('leaves no container behind when it is stopped', async () => {
    expect(containers(), 'some stand ready while it runs').to.not.equal('');
    await panal.interrupt();
    expect(containers()).to.equal('');
  });
});
