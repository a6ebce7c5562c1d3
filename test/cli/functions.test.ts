import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { workbench } from './workbench.js';

describe('panal, from a new function to its end', function () {
  this.slow(10_000);
  const bench = workbench({ FAAS_MAX_BUNDLE: '100000' });

  for (const [file, code] of [
    ['handler.py', 'def handler(params, context):\n    return "here"\n'],
    ['handler.js', 'export default () => "here";\n'],
  ] as const) {
    it(`deploys a folder that has nothing but ${file}, under its own name`, async () => {
      const name = file.replace('.', '-');
      await bench().write({ [`${name}/${file}`]: code });
      expect(await bench().output('deploy', name)).to.equal(`${name} version 1\n`);
      expect(await bench().output('invoke', name)).to.equal('here');
      expect(await bench().json('function', name)).to.include({ lifecycle: 'hot' });
    });
  }

  it('asks which runtime is meant where the files fit two', async () => {
    await bench().write({ 'both/handler.py': '', 'both/handler.mjs': '' });
    const { code, stderr } = await bench().run('deploy', 'both');
    expect(code).to.equal(2);
    expect(stderr).to.match(
      /^panal: the files fit pythonruntime and noderuntime — choose one in panal\.json, /,
    );
  });

  for (const language of ['python', 'nodejs']) {
    it(`makes, deploys and calls a function in ${language}`, async () => {
      const name = `hello-${language}`;
      expect(await bench().output('init', language, name)).to.equal(
        `${name} is ready in ${name}; deploy it with: panal deploy ${name}\n`,
      );
      expect(await bench().output('deploy', name)).to.equal(`${name} version 1\n`);
      const { code, stdout, stderr } = await bench().run('invoke', name, '{"name":"Ana"}');
      expect({ code, stdout }).to.deep.equal({ code: 0, stdout: '{"greeting":"Hello, Ana!"}' });
      expect(stderr).to.match(/^call \d+ greets Ana\n$/);
    });
  }

  it('does not overwrite a function that is there', async () => {
    await bench().write({ 'taken/handler.py': 'mine' });
    const { code, stderr } = await bench().run('init', 'python', 'taken');
    expect(code).to.equal(1);
    expect(stderr).to.equal('panal: taken/handler.py is there already — give a new folder\n');
  });

  it('goes back to an earlier version, and forth to a given one', async () => {
    await bench().deployObedient('switch');
    await bench().write({ 'switch/handler.mjs': 'export default () => "second"' });
    expect(await bench().output('deploy', 'switch')).to.equal('switch version 2\n');
    expect(await bench().output('invoke', 'switch')).to.equal('second');
    expect(await bench().output('rollback', 'switch')).to.equal('switch version 1 (was 2)\n');
    expect(await bench().output('invoke', 'switch')).to.equal('nothing');
    const { code, stderr } = await bench().run('rollback', 'switch');
    expect({ code, stderr }).to.deep.equal({
      code: 1,
      stderr: 'panal: switch has no version before 1 — panal function switch\n',
    });
    expect(await bench().output('rollback', 'switch', '2')).to.equal('switch version 2 (was 1)\n');
  });

  it('deletes one version, but not the active one', async () => {
    await bench().deployObedient('aged');
    await bench().deployObedient('aged', { memoryMb: 100 });
    const refused = await bench().run('rm', 'aged', '2', '--yes');
    expect(refused.code).to.equal(1);
    expect(refused.stderr).to.match(/^panal: .* — make another version the active one first/);
    expect(await bench().output('rm', 'aged', '1', '--yes')).to.equal('aged version 1 deleted\n');
    expect(await bench().json('function', 'aged')).to.deep.include({ version: 2, versions: [2] });
    expect((await bench().run('rm', 'aged', '1', '--yes')).stderr).to.contain('aged has no version 1');
  });

  it('takes settings from panal.json and from --set', async () => {
    await bench().deployObedient('set', { memoryMb: 100, env: { MODE: 'slow', KEEP: 'it' } });
    await bench().output(
      'deploy',
      'set',
      '--set',
      'env.MODE=fast',
      '--set',
      'timeoutMs=5000',
      '--name',
      'set-2',
    );
    expect(await bench().json('function', 'set-2')).to.deep.include({
      functionName: 'set-2',
      memoryMb: 100,
      timeoutMs: 5000,
      env: { MODE: 'fast', KEEP: 'it' },
    });
  });

  it('lists and shows functions, calls, runtimes and workers to people', async () => {
    await bench().deployObedient('shown');
    await bench().output('invoke', 'shown', '{"log":"noted"}');
    const [head, row] = (await bench().output('calls', '--function', 'shown')).split('\n');
    expect(head).to.match(/^CALL +FUNCTION +VERSION +STATUS +START +TOOK +ACCEPTED$/);
    expect(row).to.match(/^ *\d+ +shown +1 +DONE +hot +[\d.]+ m?s +(now|.* ago)$/);
    const number = /\d+/.exec(row ?? '')?.[0] ?? '';
    expect(await bench().output('call', number))
      .to.match(/^status +DONE$/m)
      .and.to.match(/^logs\nnoted$/m);
    expect(await bench().output('logs', number)).to.equal('noted\n');
    expect((await bench().output('functions')).split('\n')).to.include('shown');
    expect(await bench().output('functions', '--long')).to.match(/^shown +1 +noderuntime +hot /m);
    expect(await bench().output('function', 'shown')).to.match(/^versions +1$/m);
    expect(await bench().output('runtimes')).to.match(/^pythonruntime +pythonruntime .* bundled$/m);
    expect(await bench().output('workers')).to.match(/^[\da-f-]{36} .* up +process /m);
  });

  it('gives programs one JSON document', async () => {
    await bench().deployObedient('for-programs');
    const call = await bench().json('invoke', 'for-programs', '{"give":[1]}');
    expect(call).to.include({ funcName: 'for-programs', status: 'DONE', result: '[1]' });
    expect(await bench().json('calls', '--limit', '1'))
      .to.be.an('array')
      .with.length(1);
    expect(await bench().json('functions')).to.include('for-programs');
    expect(await bench().json('rm', 'for-programs', '--yes')).to.deep.equal({
      functionName: 'for-programs',
      deleted: true,
    });
  });

  it('lists as many calls as asked for, over several pages', async () => {
    await bench().deployObedient('often');
    await bench().output('bench', 'often', '-n', '1100', '-c', '16');
    expect(await bench().json('calls', '--limit', '1050', '--function', 'often')).to.have.length(1050);
  });

  it('measures a function', async () => {
    await bench().deployObedient('measured');
    const result = await bench().json('bench', 'measured', '{"give":"x"}', '-n', '40', '-c', '4');
    expect(result).to.include({ calls: 40, errors: 0, connections: 4 });
    expect(await bench().output('bench', 'measured', '-d', '0.2')).to.match(/^calls\/s +[\d.]+$/m);
  });

  it('says what to do about a function that is too large', async () => {
    await bench().deployObedient('large');
    await writeFile(join(bench().folder, 'large', 'noise'), randomBytes(8 * 1024 * 1024));
    const { code, stdout, stderr } = await bench().run('deploy', 'large');
    expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' });
    expect(stderr).to.match(
      /^panal: .*100000 bytes \(FAAS_MAX_BUNDLE\) — leave out .* with a \.panalignore file\n$/,
    );
  });

  it('does not delete without being told to', async () => {
    await bench().deployObedient('doomed');
    const { code, stderr } = await bench().run('rm', 'doomed');
    expect({ code, stderr }).to.deep.equal({
      code: 2,
      stderr: 'panal: rm would ask first — give --yes where nobody can answer\n',
    });
    expect(await bench().output('rm', 'doomed', '--yes')).to.equal('doomed deleted\n');
    expect((await bench().run('invoke', 'doomed')).code).to.equal(1);
  });

  it('registers an image, or says why not', async () => {
    const { code, stderr } = await bench().run('deploy', '--image', 'example/reverse', '--name', 'reverse');
    expect(code).to.equal(1);
    expect(stderr).to.match(/^panal: .* — functions made of images need .*: panal workers\n$/);
  });
});
