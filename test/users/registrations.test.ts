import { expect } from 'chai';
import { PanalError } from '@panal/protocol';
import { Registrations } from '../../broker/src/users/registrations.js';

describe('Registrations of an address', () => {
  let now = 0;
  const after = (registrations: Registrations, address: string): number | undefined => {
    try {
      registrations.take(address);
      return undefined;
    } catch (error) {
      if (!(error instanceof PanalError)) throw error;
      expect(error.code).to.equal('TOO_MANY_ATTEMPTS');
      return error.retryAfter;
    }
  };

  it('are so many at once, and as many again within an hour', () => {
    const registrations = new Registrations(6, () => now);
    for (let n = 0; n < 6; n++) expect(after(registrations, '192.0.2.1')).to.equal(undefined);
    expect(after(registrations, '192.0.2.1')).to.equal(600);
    now += 450_000;
    expect(after(registrations, '192.0.2.1')).to.equal(150);
    now += 150_000;
    expect(after(registrations, '192.0.2.1')).to.equal(undefined);
    expect(after(registrations, '192.0.2.1')).to.equal(600);
    now += 24 * 3_600_000;
    for (let n = 0; n < 6; n++) expect(after(registrations, '192.0.2.1')).to.equal(undefined);
    expect(after(registrations, '192.0.2.1')).to.equal(600);
  });

  it('do not count for another; those of one IPv6 network count together', () => {
    const registrations = new Registrations(1, () => now);
    expect(after(registrations, '192.0.2.1')).to.equal(undefined);
    expect(after(registrations, '192.0.2.2')).to.equal(undefined);
    expect(after(registrations, '2001:db8::1')).to.equal(undefined);
    expect(after(registrations, '2001:db8::ffff:1')).to.equal(3600);
    expect(after(registrations, '2001:db8:0:1::1')).to.equal(undefined);
  });
});
