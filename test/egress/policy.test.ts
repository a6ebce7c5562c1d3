import { networkInterfaces } from 'node:os';
import { expect } from 'chai';
import { EgressPolicy, Refused, type EgressRules } from '../../worker/src/egress/policy.js';

const rules = (changes: Partial<EgressRules>): EgressPolicy =>
  new EgressPolicy({ hosts: [], networks: [], cluster: [], ...changes });

async function refusal(policy: EgressPolicy, host: string, port = 443): Promise<string | undefined> {
  try {
    await policy.addressesOf({ host, port });
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

describe('What dependencies may reach', () => {
  const notPublic = [
    ...['127.0.0.1', '127.1.2.3', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
    ...['100.64.0.1', '198.18.0.1', '192.0.0.192', '224.0.0.1', '255.255.255.255', '::', '::1', 'fd00::1'],
    ...['fec0::1', 'ff02::1', '::ffff:10.0.0.1', '::ffff:127.0.0.1', '64:ff9b::a00:1', '2002:a00:1::'],
    // Spellings that only a resolver reads.
    ...['127.1', '0x7f.1', '2130706433', '0177.0.0.1', 'localhost'],
  ];
  for (const host of notPublic) {
    it(`is not ${host}`, async () => {
      expect(await refusal(rules({}), host)).to.be.a('string');
    });
  }

  for (const host of [
    '169.254.169.254',
    '169.254.0.1',
    'fe80::1',
    '::ffff:169.254.169.254',
    'fd00:ec2::254',
    '168.63.129.16',
    'fd20:ce::254',
  ]) {
    it(`is not ${host}, whatever the operator adds`, async () => {
      const networks = [
        { address: '0.0.0.0', prefix: 0, family: 'ipv4' as const },
        { address: '::', prefix: 0, family: 'ipv6' as const },
        { address: '169.254.169.254', prefix: 32, family: 'ipv4' as const },
      ];
      expect(await refusal(rules({ networks }), host)).to.contain('link-local');
    });
  }

  it('is a public host, at the ports of HTTP and HTTPS', async () => {
    for (const host of ['93.184.215.14', '2606:2800::1', '::ffff:93.184.215.14']) {
      expect(await refusal(rules({}), host, 443)).to.equal(undefined);
      expect(await refusal(rules({}), host, 80)).to.equal(undefined);
      expect(await refusal(rules({}), host, 25)).to.contain('ports 80 and 443');
    }
  });

  it('is a private network that the operator adds, at any port', async () => {
    const policy = rules({ networks: [{ address: '10.0.0.0', prefix: 8, family: 'ipv4' }] });
    expect(await refusal(policy, '10.99.98.97', 4873)).to.equal(undefined);
    expect(await refusal(policy, '192.168.1.1', 4873)).to.contain('not a public address');
  });

  it('is this machine, or the cluster, only where its very address is added', async () => {
    const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    const wide = [{ address: '0.0.0.0', prefix: 0, family: 'ipv4' as const }];
    for (const { address, family } of own.filter((each) => each.family === 'IPv4')) {
      expect(await refusal(rules({ networks: wide }), address), family).to.contain('belongs to the cluster');
      const exact = [{ address, prefix: 32, family: 'ipv4' as const }];
      expect(await refusal(rules({ networks: exact }), address, 4873)).to.equal(undefined);
    }
    const cluster = rules({ networks: wide, cluster: ['93.184.215.14'] });
    expect(await refusal(cluster, '93.184.215.14')).to.contain('belongs to the cluster');
  });

  it('is only the hosts that the operator names, where any are named', async () => {
    const policy = rules({ hosts: ['93.184.215.14', '*.example.org'] });
    expect(await refusal(policy, '93.184.215.14')).to.equal(undefined);
    expect(await refusal(policy, '93.184.215.15')).to.contain('not among the hosts');
    expect(() => policy.checkName('Packages.Example.org.')).not.to.throw();
    for (const name of ['example.org', 'evilexample.org', 'example.org.evil']) {
      expect(() => policy.checkName(name)).to.throw(Refused);
    }
  });
});
