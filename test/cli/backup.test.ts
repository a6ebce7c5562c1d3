import { access, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { LevelStore } from '@panal/db';
import { workbench } from './workbench.js';

const TOKEN = 'the-operators-token-of-this-very-test';

describe('panal backup and panal restore', function () {
  this.slow(10_000);
  const bench = workbench({ FAAS_OPERATOR_TOKEN: TOKEN });
  const at = (...path: string[]): string => join(bench().folder, ...path);
  const asOperator = { env: { PANAL_TOKEN: TOKEN } };

  it('copy a cluster that runs, and make a data folder of the copy', async () => {
    await bench().deployObedient('kept');
    await bench().output('invoke', 'kept', '{"give":"it"}');
    const { code, stdout, stderr } = await bench().start(['backup', 'panal.tar'], asOperator).end();
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    expect(stdout).to.match(/^panal\.tar: [\d.]+ KiB\n$/);
    expect((await stat(at('panal.tar'))).mode & 0o777).to.equal(0o600);

    const restored = await bench().output('restore', 'panal.tar', 'restored');
    expect(restored).to.match(/^restored as of \d{4}-.*Z: \d+ entries, 1 bundles\n$/);
    const store = new LevelStore(at('restored/store'), { durability: 'os' });
    await store.open();
    try {
      expect(await store.functions.listFunctions({ owner: 'public', limit: 9 })).to.deep.equal(['kept']);
      expect(Buffer.from((await store.calls.getCall('public', 2))?.result ?? []).toString()).to.equal('it');
    } finally {
      await store.close();
    }
    const again = await bench().run('restore', 'panal.tar', 'restored');
    expect(again.code).to.equal(1);
    expect(again.stderr).to.match(/^panal: restored has data of a broker already; .*\n$/);
  });

  it('pass the copy through a pipe too', async () => {
    const { bytes } = await bench().start(['backup', '-'], asOperator).end();
    const { code, stdout } = await bench().start(['restore', '-', 'piped', '--json'], { input: bytes }).end();
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ dir: 'piped', bundles: 1 });
  });

  it('give a copy to the operator alone, and leave no half of one', async () => {
    for (const env of [{}, { PANAL_TOKEN: `${TOKEN}x` }]) {
      const { code, stderr } = await bench().start(['backup', 'none.tar'], { env }).end();
      expect(code).to.equal(1);
      expect(stderr).to.match(/^panal: .* token.* — give the operator's token in PANAL_TOKEN\n$/);
    }
    for (const file of ['none.tar', 'none.tar.part']) {
      expect(await access(at(file)).catch((error: unknown) => String(error))).to.contain('ENOENT');
    }
  });

  it('restore nothing from what is no backup', async () => {
    await bench().write({ 'text.tar': 'x'.repeat(2000) });
    const { code, stderr } = await bench().run('restore', 'text.tar', 'nothing');
    expect({ code, stderr }).to.deep.equal({
      code: 1,
      stderr: 'panal: the backup cannot be restored: it is no backup\n',
    });
    expect((await bench().run('restore', 'missing.tar', 'nothing')).stderr).to.contain(
      'there is no file missing.tar',
    );
    expect(await readFile(at('text.tar'), 'utf8')).to.have.length(2000);
  });
});
