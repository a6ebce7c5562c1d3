import { expect } from 'chai';
import { workbench } from './workbench.js';

describe('panal deploy, which prepares what it deploys', function () {
  this.timeout(60_000);
  this.slow(10_000);
  const bench = workbench();

  const HANDLER = 'def handler(params, context):\n    return "here"\n';

  /** Registers a runtime with these `dependencies`, and deploys a folder on it. */
  async function installing(name: string, dependencies: string, ...options: string[]) {
    const runtime = { name: `of-${name}`, image: 'none', path: '/ws', dependencies, run: 'echo ran' };
    const response = await fetch(`${bench().cluster.url}/registerRuntime`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(runtime),
    });
    expect(response.status).to.equal(201);
    await bench().write({ [`${name}/code.txt`]: name });
    return bench().start(['deploy', name, '--name', name, '--runtime', runtime.name, ...options]);
  }

  it('shows what the tools say, and ends when the function is ready', async () => {
    const run = await installing('loud', 'echo downloading; echo installed >&2');
    expect(await run.end()).to.include({
      code: 0,
      stdout: 'loud version 1\n',
      stderr: 'panal: installing dependencies\ndownloading\ninstalled\n',
    });
    const call = await bench().json('invoke', 'loud');
    expect(call).to.include({ status: 'DONE' }).and.not.have.property('kind');
  });

  it('shows the output while they run, and cancels that at Ctrl-C', async () => {
    const run = await installing('slow', 'echo downloading; sleep 1000');
    await run.says(/^downloading$/m);
    run.child.kill('SIGINT');
    const { code, stderr } = await run.end();
    expect(code).to.equal(130);
    expect(stderr).to.contain('panal: slow version 1 is registered and active\n');
    const [, callNum = ''] = /^panal: call (\d+) cancelled$/m.exec(stderr) ?? [];
    expect(await bench().json('call', callNum)).to.include({ kind: 'prepare', status: 'CANCELLED' });
  });

  it('fails where dependencies cannot be had, unless that is left to the first call', async () => {
    const failed = await (await installing('broken', 'echo no such package >&2; exit 4')).end();
    expect(failed).to.include({ code: 1, stdout: '' });
    expect(failed.stderr).to.match(
      /^no such package\npanal: broken version 1 is registered and active, but cannot run: .* code 4 — mend it /m,
    );
    const left = await bench().run(
      'deploy',
      'broken',
      '--name',
      'broken',
      '--runtime',
      'of-broken',
      '--no-prepare',
    );
    expect(left).to.include({ code: 0, stdout: 'broken version 2\n', stderr: '' });
    expect((await bench().run('invoke', 'broken')).stderr).to.contain('DEPENDENCIES_FAILED');
  });

  for (const [what, code, said] of [
    ['is not there', undefined, /START_FAILED|handler/],
    ['does not load', 'import nosuchmodule\n', /No module named 'nosuchmodule'/],
  ] as const) {
    it(`fails where the handler ${what}, and says how to go back`, async () => {
      const name = what.replaceAll(' ', '-');
      await bench().write({
        [`${name}/handler.py`]: HANDLER,
        [`${name}/panal.json`]: `{"name":"${name}","runtime":"pythonruntime","settings":{"lifecycle":"hot"}}`,
      });
      expect(await bench().output('deploy', name)).to.equal(`${name} version 1\n`);
      await bench().write({ [`${name}/test.py`]: '', [`${name}/handler.py`]: code ?? '' });
      if (code === undefined) await bench().write({ [`${name}/.panalignore`]: 'handler.py\n' });
      const failed = await bench().run('deploy', name);
      expect(failed).to.include({ code: 1, stdout: '' });
      expect(failed.stderr).to.match(said).and.contain(`go back with: panal rollback ${name}`);
      expect(await bench().output('rollback', name)).to.equal(`${name} version 1 (was 2)\n`);
      expect(await bench().output('invoke', name)).to.equal('here');
    });
  }

  it('says that a version is registered that no worker can take', async () => {
    const run = await installing('huge', 'true', '--set', 'memoryMb=1048576');
    const { code, stderr } = await run.end();
    expect(code).to.equal(1);
    expect(stderr).to.match(
      /^panal: huge version 1 is registered and active, but cannot be prepared: memoryMb 1048576 .* — lower /,
    );
  });

  it('says as JSON why it failed', async () => {
    const { code, stdout, stderr } = await (await installing('json', 'exit 5', '--json')).end();
    expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' });
    expect(JSON.parse(stderr)).to.have.nested.property('error.code', 'DEPENDENCIES_FAILED');
  });
});
