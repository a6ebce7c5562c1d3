import { join } from 'node:path';
import { LevelStore, type UserRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { expect } from 'chai';
import { Tokens } from '../../broker/src/users/tokens.js';
import { Users } from '../../broker/src/users/users.js';
import { temporaryFolder } from '../support/folder.js';
import { Gate } from '../support/gate.js';
import { processorMs } from '../support/processor-time.js';

const ADDRESS = '192.0.2.1';

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof PanalError) return error.code;
    throw error;
  }
}

describe('Users', () => {
  const folder = temporaryFolder();
  let now: number;
  let store: LevelStore;
  let users: Users;
  /** Names of those whose estate was removed; the gate holds it up. */
  let removed: string[];
  let gate: Gate;

  const make = (): Users =>
    new Users({
      store: store.users,
      tokens: new Tokens({ secret: 'a secret of the test that is long enough', ttl: 3600, now: () => now }),
      estate: {
        async remove(owner) {
          await gate.pass();
          removed.push(owner);
        },
      },
      now: () => now,
    });
  const logIn = (name: string, password: string): Promise<UserRecord> =>
    users.byPassword(name, password, ADDRESS);

  beforeEach(async () => {
    now = 1_700_000_000_000;
    removed = [];
    gate = new Gate();
    gate.open();
    store = new LevelStore(join(folder(), 'store'), { durability: 'os' });
    await store.open();
    users = make();
  });
  afterEach(() => store.close());

  it('are found by name and password, however they were typed, also after a restart', async () => {
    const ana = await users.register('Zoe\u0308', 'pass\ufb01');
    expect(ana).to.include({ name: 'Zo\u00eb', createdAt: now });
    for (const each of [users, make()]) {
      expect(await each.byPassword('\uff3ao\u00eb', 'passfi', ADDRESS)).to.deep.equal(ana);
      expect(await codeOf(each.byPassword('Zo\u00eb', 'other', ADDRESS))).to.equal('UNAUTHORIZED');
      expect(await codeOf(each.byPassword('zo\u00eb', 'passfi', ADDRESS))).to.equal('UNAUTHORIZED');
    }
  });

  it('are refused under a name that is reserved, taken or no name', async () => {
    await users.register('ana', 'x');
    for (const name of ['public', '\uff50ublic', '*', 'ana', '\uff41na']) {
      expect(await codeOf(users.register(name, 'y')), name).to.equal('ALREADY_EXISTS');
    }
    for (const name of ['', 'a:b', 'a\nb', 'x'.repeat(255)]) {
      expect(await codeOf(users.register(name, 'y')), name).to.equal('INVALID_REQUEST');
    }
    expect(await codeOf(users.register('ben', ''))).to.equal('INVALID_REQUEST');
    const twins = [1, 2, 3].map((n) => codeOf(users.register('cleo', `p${n}`)));
    expect((await Promise.all(twins)).filter((code) => code === undefined)).to.have.length(1);
  });

  it('may have names that mean something to JavaScript', async () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(await codeOf(logIn(name, 'x'))).to.equal('UNAUTHORIZED');
      await users.register(name, 'x');
      expect((await logIn(name, 'x')).name).to.equal(name);
    }
  });

  it('who log in a thousand times again cost less than the first time', async () => {
    await users.register('ana', 'x');
    const first = await processorMs(async () => {
      users = make();
      await logIn('ana', 'x');
    });
    const again = await processorMs(async () => {
      for (let n = 0; n < 1000; n++) await logIn('ana', 'x');
    });
    expect(again).to.be.below(first);
  });

  it('who log in many times at once are hashed once, and held back by nothing', async () => {
    await users.register('ana', 'x');
    const cost = (times: number): Promise<number> =>
      processorMs(async () => {
        users = make();
        await Promise.all(Array.from({ length: times }, () => logIn('ana', 'x')));
      });
    const once = await cost(1);
    expect((await cost(200)) / once).to.be.below(2);
  });

  it('tell a stranger nothing by what was right from another address', async () => {
    await users.register('eva', 'secret');
    await logIn('eva', 'secret');
    const guess = (password: string) => users.byPassword('eva', password, '203.0.113.9');
    for (let tries = 0; tries < 50; tries++) await codeOf(guess(String(tries)));
    expect(await codeOf(guess('secret'))).to.equal('TOO_MANY_ATTEMPTS');
    expect((await logIn('eva', 'secret')).name).to.equal('eva');
  });

  it('are held back after too many failures, even with the right password', async () => {
    await users.register('ana', 'x');
    for (let n = 0; n < 10; n++) expect(await codeOf(logIn('ana', `wrong ${n}`))).to.equal('UNAUTHORIZED');
    expect(await codeOf(logIn('ana', 'x'))).to.equal('TOO_MANY_ATTEMPTS');
    expect(await codeOf(logIn('nobody', 'x'))).to.equal('TOO_MANY_ATTEMPTS');
  });

  it('are let in elsewhere, however often one address failed', async () => {
    await users.register('ana', 'x');
    for (let n = 0; n < 10; n++) expect(await codeOf(logIn('ana', `wrong ${n}`))).to.equal('UNAUTHORIZED');
    expect(await codeOf(logIn('ana', 'x'))).to.equal('TOO_MANY_ATTEMPTS');
    expect((await users.byPassword('ana', 'x', '192.0.2.2')).name).to.equal('ana');
  });

  it('who change their password are known by the new one alone, at once and after a restart', async () => {
    const ana = await users.register('ana', 'x');
    const { token } = await users.issueToken('ana', 'x', ADDRESS);
    await users.byToken(token);
    await users.changePassword(ana, { password: 'x', newPassword: 'y' }, ADDRESS);
    for (const each of [users, make()]) {
      expect(await codeOf(each.byToken(token))).to.equal('UNAUTHORIZED');
      expect(await codeOf(each.byPassword('ana', 'x', ADDRESS))).to.equal('UNAUTHORIZED');
      expect((await each.byPassword('ana', 'y', ADDRESS)).id).to.equal(ana.id);
    }
    const second = await users.issueToken('ana', 'y', ADDRESS);
    expect(second.token).not.to.equal(token);
    expect((await users.byToken(second.token)).id).to.equal(ana.id);
  });

  it('keep their password where the present one is wrong, or the new one is none', async () => {
    const ana = await users.register('ana', 'x');
    const { token } = await users.issueToken('ana', 'x', ADDRESS);
    const change = (password: string, newPassword: string): Promise<string | undefined> =>
      codeOf(users.changePassword(ana, { password, newPassword }, ADDRESS));
    expect(await change('wrong', 'y')).to.equal('UNAUTHORIZED');
    expect(await change('x', '')).to.equal('INVALID_REQUEST');
    expect((await users.byToken(token)).id).to.equal(ana.id);
    for (let n = 0; n < 9; n++) await change(`wrong ${n}`, 'y');
    expect(await change('wrong', 'y')).to.equal('TOO_MANY_ATTEMPTS');
  });

  it('who change their password twice at once change it once', async () => {
    const ana = await users.register('ana', 'x');
    const change = (newPassword: string): Promise<string | undefined> =>
      codeOf(users.changePassword(ana, { password: 'x', newPassword }, ADDRESS));
    const codes = await Promise.all(['y', 'z'].map(change));
    expect(codes).to.have.members([undefined, 'UNAUTHORIZED']);
    const kept = codes[0] === undefined ? 'y' : 'z';
    expect((await logIn('ana', kept)).id).to.equal(ana.id);
  });

  it('who log in while their password changes get no token with the old one', async () => {
    const ana = await users.register('ana', 'x');
    await logIn('ana', 'x');
    const changing = users.changePassword(ana, { password: 'x', newPassword: 'y' }, ADDRESS);
    const tokens = await Promise.all([
      users.issueToken('ana', 'x', ADDRESS).then(
        ({ token }) => token,
        () => '',
      ),
      changing.then(() => ''),
    ]);
    for (const token of tokens) expect(await codeOf(users.byToken(token))).to.equal('UNAUTHORIZED');
  });

  it('who revoke their tokens keep their password', async () => {
    const ana = await users.register('ana', 'x');
    const { token } = await users.issueToken('ana', 'x', ADDRESS);
    await users.byToken(token);
    await users.revokeTokens(ana);
    for (const each of [users, make()]) {
      expect(await codeOf(each.byToken(token))).to.equal('UNAUTHORIZED');
      expect((await each.byPassword('ana', 'x', ADDRESS)).id).to.equal(ana.id);
    }
    const second = await users.issueToken('ana', 'x', ADDRESS);
    expect(second.token).not.to.equal(token);
    await users.revokeTokens(ana);
    await users.revokeTokens(ana);
    expect(await codeOf(users.byToken(second.token))).to.equal('UNAUTHORIZED');
  });

  it('who guess with many requests at once are held back as well', async () => {
    await users.register('ana', 'x');
    const guesses = Array.from({ length: 40 }, (_, n) => codeOf(logIn('ana', `wrong ${n}`)));
    const codes = await Promise.all(guesses);
    const tried = codes.filter((code) => code === 'UNAUTHORIZED').length;
    // One more than ten may have been on its way.
    expect(tried).to.be.within(10, 11);
    expect(codes.filter((code) => code === 'TOO_MANY_ATTEMPTS')).to.have.length(40 - tried);
  });

  it('get the same token while it is valid, also after a restart, and then another', async () => {
    const ana = await users.register('ana', 'x');
    const first = await users.issueToken('ana', 'x', ADDRESS);
    expect(first.expiresAt).to.equal(now + 3_600_000);
    now += 3_599_000;
    expect(await make().issueToken('ana', 'x', ADDRESS)).to.deep.equal(first);
    expect((await users.byToken(first.token)).id).to.equal(ana.id);
    expect(JSON.stringify(await store.users.getUser('ana'))).not.to.contain(first.token);
    now += 1000;
    expect(await codeOf(users.byToken(first.token))).to.equal('UNAUTHORIZED');
    const second = await users.issueToken('ana', 'x', ADDRESS);
    expect(second.token).not.to.equal(first.token);
    expect((await users.byToken(second.token)).id).to.equal(ana.id);
  });

  it('get one token when they ask many times at once', async () => {
    await users.register('ana', 'x');
    const all = await Promise.all([1, 2, 3, 4].map(() => users.issueToken('ana', 'x', ADDRESS)));
    expect(new Set(all.map(({ token }) => token))).to.have.property('size', 1);
  });

  it('who are deleted cannot act any more, nor can their tokens for who takes the name', async () => {
    const first = await users.register('ana', 'x');
    const { token } = await users.issueToken('ana', 'x', ADDRESS);
    await logIn('ana', 'x');
    await users.byToken(token);
    await users.delete(first);
    expect(removed).to.deep.equal(['ana']);
    expect(await codeOf(logIn('ana', 'x'))).to.equal('UNAUTHORIZED');
    expect(await codeOf(users.byToken(token))).to.equal('UNAUTHORIZED');
    const second = await users.register('ana', 'y');
    expect(second.id).not.to.equal(first.id);
    expect(await codeOf(logIn('ana', 'x'))).to.equal('UNAUTHORIZED');
    expect(await codeOf(users.byToken(token))).to.equal('UNAUTHORIZED');
    await users.issueToken('ana', 'y', ADDRESS);
    expect(await codeOf(users.byToken(token))).to.equal('UNAUTHORIZED');
  });

  it('who take the name of one who is gone may have the same password', async () => {
    await users.delete(await users.register('ana', 'x'));
    const second = await users.register('ana', 'x');
    for (let n = 0; n < 3; n++) expect((await logIn('ana', 'x')).id).to.equal(second.id);
  });

  it('are deleted only when nobody acts for them any more, and their name is taken only then', async () => {
    const ana = await users.register('ana', 'x');
    gate = new Gate();
    let asked = 0;
    const leaves = [1, 2].map(() => users.enter(ana, () => asked++));
    const deletions = [users.delete(ana), users.delete(ana)];
    expect(asked).to.equal(2);
    expect(() => users.enter(ana, () => undefined)).to.throw(PanalError, 'wrong user or password');
    expect(await codeOf(logIn('ana', 'x'))).to.equal('UNAUTHORIZED');
    expect(gate.arrivals).to.equal(0);
    for (const leave of leaves) {
      leave();
      leave();
    }
    const order: string[] = [];
    const deleted = Promise.all(deletions).then(() => order.push('deleted'));
    // Where the name is seen to be free, that waits for the deletion.
    const registered = users.register('ana', 'y').then(() => order.push('registered'));
    gate.open();
    await Promise.all([deleted, registered]);
    expect(order).to.deep.equal(['deleted', 'registered']);
    expect(removed).to.deep.equal(['ana']);
    expect((await logIn('ana', 'y')).id).not.to.equal(ana.id);
  });

  it('whose deletion fails are still there, and can be deleted again', async () => {
    const ana = await users.register('ana', 'x');
    await store.close();
    expect(await codeOf(users.delete(ana))).to.equal('STORE_UNAVAILABLE');
    await store.open();
    expect((await logIn('ana', 'x')).id).to.equal(ana.id);
    await users.delete(ana);
    expect(await store.users.getUser('ana')).to.equal(undefined);
  });
});
