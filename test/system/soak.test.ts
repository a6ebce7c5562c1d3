import { expect } from 'chai';
import { soak } from '../../bench/soak/soak.js';

describe('A cluster that is called for long', function () {
  this.slow(60_000);

  // How memory fares takes longer to see: `npm run soak`.
  it('keeps no file, socket, process or bundle of what came and went', async () => {
    const { watched } = await soak({
      seconds: 4,
      rounds: 4,
      settings: { FAAS_SANDBOX: 'process' },
      say: () => undefined,
    });
    const kept = watched.filter(({ name }) => !name.includes('MiB'));
    expect(kept.map(({ name }) => name)).to.have.members([
      'broker descriptors',
      'worker descriptors',
      'sandboxes',
      'containers',
      'bundles of the broker',
    ]);
    for (const { name, values, flat } of kept) expect(flat, `${name}: ${values.join(', ')}`).to.equal(true);
  });
});
