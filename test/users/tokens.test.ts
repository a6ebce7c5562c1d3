import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { Tokens } from '../../broker/src/users/tokens.js';

const SECRET = 'a secret of the test that is long enough';

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token of any header and claims, signed or not. */
function forge(header: object, claims: object, secret = SECRET, hash = 'sha256'): string {
  const text = `${base64url(header)}.${base64url(claims)}`;
  return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
}

describe('Tokens', () => {
  let now = 1_700_000_000_500;
  const tokens = new Tokens({ secret: SECRET, ttl: 60, now: () => now });
  const claims = { sub: 'ana', jti: 't1', iat: 1_700_000_000, exp: 1_700_000_060 };
  beforeEach(() => {
    now = 1_700_000_000_500;
  });

  it('of one record are the same to the byte, also after a restart', async () => {
    const record = tokens.next();
    const other = new Tokens({ secret: SECRET, ttl: 5, now: () => now + 9000 });
    expect(await tokens.sign('ana', record)).to.equal(await other.sign('ana', record));
    expect(await tokens.sign('ana', record)).not.to.equal(await tokens.sign('ana', tokens.next()));
  });

  it('say who it is until they expire', async () => {
    const record = tokens.next();
    const token = await tokens.sign('Zoë ñ', record);
    const said = { user: 'Zoë ñ', id: record.id, expiresAt: 1_700_000_060 };
    expect(await tokens.verify(token)).to.deep.equal(said);
    expect(tokens.isValid(record)).to.equal(true);
    now = 1_700_000_060_000;
    expect(await tokens.verify(token)).to.equal(undefined);
    expect(tokens.isValid(record)).to.equal(false);
  });

  it('are believed as HS256 only', async () => {
    expect(await tokens.verify(forge({ alg: 'HS256' }, claims))).to.include({ user: 'ana' });
    for (const alg of ['none', 'None', 'HS384', 'HS512', 'RS256', 'ES256', 'dir', 'HS256 ', '', undefined]) {
      expect(await tokens.verify(forge({ alg }, claims)), String(alg)).to.equal(undefined);
    }
    expect(await tokens.verify(forge({ alg: 'HS512' }, claims, SECRET, 'sha512'))).to.equal(undefined);
    const unsigned = `${base64url({ alg: 'none' })}.${base64url(claims)}`;
    for (const token of [`${unsigned}.`, unsigned]) expect(await tokens.verify(token)).to.equal(undefined);
  });

  it('are not believed where anything about them is wrong', async () => {
    const good = forge({ alg: 'HS256' }, claims);
    const [head = '', , signature = ''] = good.split('.');
    for (const token of [
      forge({ alg: 'HS256' }, claims, 'another secret'),
      `${head}.${base64url({ ...claims, sub: 'eve' })}.${signature}`,
      `${good}x`,
      good.slice(0, -1),
      `${good}.${signature}`,
      'x'.repeat(1_000_000),
      '',
      '..',
      'a.b.c',
      forge({ alg: 'HS256', crit: ['exp'] }, claims),
      forge({ alg: 'HS256', b64: false, crit: ['b64'] }, claims),
      forge({ alg: 'HS256' }, { ...claims, exp: undefined }),
      forge({ alg: 'HS256' }, { ...claims, exp: '9999999999' }),
      forge({ alg: 'HS256' }, { ...claims, sub: undefined }),
      forge({ alg: 'HS256' }, { ...claims, sub: ['ana'] }),
      forge({ alg: 'HS256' }, { ...claims, jti: undefined }),
      forge({ alg: 'HS256' }, { ...claims, nbf: 1_700_000_050 }),
      forge({ alg: 'HS256' }, [claims]),
    ]) {
      expect(await tokens.verify(token), token.slice(0, 200)).to.equal(undefined);
    }
  });
});
