import { expect } from 'chai';
import { PanalError } from '@panal/protocol';
import { Attempts, type Attempt } from '../../broker/src/users/attempts.js';
import { networkOf } from '../../broker/src/users/network-of.js';

describe('Attempts', () => {
  let now = 0;
  let attempts: Attempts;
  beforeEach(() => {
    now = 1000;
    attempts = new Attempts(() => now);
  });
  const attempt = (user: string | undefined, address = '10.0.0.1'): Attempt => ({ user, address });
  const fail = (times: number, each: Attempt): void => {
    for (let n = 0; n < times; n++) {
      attempts.check(each);
      attempts.failed(each);
    }
  };
  /** Seconds after which a refused one may try again; `undefined` where it is not refused. */
  const refused = (each: Attempt): number | undefined => {
    try {
      attempts.check(each);
      return undefined;
    } catch (error) {
      if (!(error instanceof PanalError)) throw error;
      expect(error.code).to.equal('TOO_MANY_ATTEMPTS');
      return error.retryAfter;
    }
  };

  it('hold nobody back for what another address failed at', () => {
    fail(10, attempt('ana'));
    expect(refused(attempt('ana'))).to.equal(6);
    expect(refused(attempt('ana', '10.0.0.2'))).to.equal(undefined);
    // For as long as one address goes on, another may fail as often as it could before.
    for (let minute = 0; minute < 60; minute++) {
      now += 60_000;
      fail(10, attempt('ana'));
    }
    fail(10, attempt('ana', '10.0.0.2'));
    expect(refused(attempt('ana', '10.0.0.2'))).to.equal(6);
  });

  it('let many addresses that guess at one user fail once a minute each', () => {
    for (let n = 0; n < 30; n++) fail(1, attempt('ana', `10.0.0.${n}`));
    expect(refused(attempt('ana', '10.0.0.5'))).to.equal(60);
    expect(refused(attempt('ben', '10.0.0.5'))).to.equal(undefined);
    const fresh = attempt('ana', '10.0.1.1');
    expect(refused(fresh)).to.equal(undefined);
    fail(1, fresh);
    expect(refused(fresh)).to.equal(60);
    now += 59_000;
    for (let n = 0; n < 30; n++) attempts.failed(attempt('ana', `10.0.2.${n}`));
    expect(refused(fresh)).to.equal(1);
    now += 1000;
    expect(refused(fresh)).to.equal(undefined);
    // It ends some minutes after they did.
    now += 240_000;
    fail(9, attempt('ana', '10.0.0.5'));
  });

  it('let a user in where it logged in before, whatever others do there and elsewhere', () => {
    const home = attempt('ana');
    fail(9, home);
    attempts.succeeded(home);
    for (let n = 0; n < 30; n++) attempts.failed(attempt(`user ${n}`));
    for (let n = 0; n < 200; n++) attempts.failed(attempt('ana', `10.0.2.${n}`));
    fail(10, home);
    expect(refused(home)).to.equal(6);
    expect(refused(attempt('ben'))).to.equal(6);
  });

  it('hold an address back after ten failures, whomever they name', () => {
    for (let n = 0; n < 9; n++) fail(1, attempt(`user ${n}`));
    fail(1, attempt(undefined));
    expect(refused(attempt('ana'))).to.equal(6);
    expect(refused(attempt(undefined))).to.equal(6);
    expect(refused(attempt('ana', '10.0.0.2'))).to.equal(undefined);
  });

  it('let one more through every six seconds, and ten after a minute', () => {
    fail(10, attempt('ana'));
    now += 5999;
    expect(refused(attempt('ana'))).to.equal(1);
    now += 1;
    fail(1, attempt('ana'));
    expect(refused(attempt('ana'))).to.equal(6);
    now += 3_600_000;
    fail(10, attempt('ana'));
    expect(refused(attempt('ana'))).to.equal(6);
  });

  it('take all addresses of an IPv6 network for one', () => {
    for (let n = 0; n < 10; n++) fail(1, attempt(`user ${n}`, `2001:db8:0:1::${n.toString(16)}`));
    expect(refused(attempt('ana', '2001:db8:0:1:ffff::1'))).to.equal(6);
    expect(refused(attempt('ana', '2001:db8:0:2::1'))).to.equal(undefined);
  });

  it('remember no more than they must', () => {
    for (let n = 0; n < 30_000; n++) attempts.failed(attempt(`user ${n}`, `10.${n >> 8}.0.${n & 255}`));
    expect(refused(attempt('ana'))).to.equal(undefined);
  });
});

describe('networkOf', () => {
  it('is the address for IPv4, and the first half for IPv6', () => {
    for (const [address, network] of [
      ['192.0.2.7', '192.0.2.7'],
      ['::1', '0:0:0:0'],
      ['::', '0:0:0:0'],
      ['2001:db8::1', '2001:db8:0:0'],
      ['2001:0DB8:0:1:2:3:4:5', '2001:db8:0:1'],
      ['fe80::1:2:3:4', 'fe80:0:0:0'],
      ['1:2:3:4:5:6:7::', '1:2:3:4'],
      ['', ''],
    ] as const) {
      expect(networkOf(address)).to.equal(network);
    }
  });
});
