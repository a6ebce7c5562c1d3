import { expect } from 'chai';
import { Audit } from '../../chaos/audit.js';
import { Ledger } from '../../chaos/ledger.js';
import { Load } from '../../chaos/load.js';
import { Random } from '../../chaos/random.js';
import { Site } from '../../chaos/site.js';
import { eventually } from '../../testkit/wait.js';

describe('A rolling restart', () => {
  it('of the broker and of each worker fails no call under load, and runs none twice', async () => {
    const site = await Site.open({ driver: 'process', ownEngine: false });
    try {
      const { cluster, witness } = site;
      const ledger = new Ledger();
      const load = new Load({ url: cluster.url, ledger, random: new Random(7), clients: 6 });
      const serves = async (): Promise<void> => {
        const before = ledger.served;
        await eventually('calls are served', () => ledger.served > before + 10, 60_000);
      };
      load.start();
      await serves();
      for (const each of [cluster.broker, ...cluster.workers.map(({ process: worker }) => worker)]) {
        expect(await each.stop(), each.name).to.equal(0);
        each.start();
        await cluster.joined();
        await serves();
      }
      await load.stop();
      const audit = new Audit(cluster.url, ledger);
      await audit.settled();
      await audit.check({ all: true, mayFail: false });
      expect(audit.findings).to.deep.equal({ lost: [], settledTwice: [], doubled: [], other: [] });
      expect(audit.putBack).to.equal(0);
      expect(await witness.extraRuns()).to.equal(0);
    } finally {
      await site.close();
    }
  });
});
