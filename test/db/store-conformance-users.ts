import type { Store } from '@panal/db';
import { CALL_STATUSES } from '@panal/protocol';
import { expect } from 'chai';
import { aCall, aFunction, anImageVersion, aRuntime, aUser, aVersion, settled, SHA256 } from './samples.js';
import type { Subject } from './store-conformance.js';

export function describeUsers(subject: Subject): void {
  it('keeps a user, with and without a token', async () => {
    const { store } = subject;
    expect(await store.users.getUser('ada')).to.equal(undefined);
    expect(await store.users.addUser(aUser('ada'))).to.equal(true);
    await subject.reopen();
    expect(await subject.store.users.getUser('ada')).to.deep.equal(aUser('ada'));
    const changed = aUser('ada', { token: { id: 't1', issuedAt: 7, expiresAt: 9 } });
    await subject.store.users.putUser(changed);
    await subject.reopen();
    expect(await subject.store.users.getUser('ada')).to.deep.equal(changed);
  });

  it('adds a user of a name once, also when several are added at the same time', async () => {
    const { store } = subject;
    const users = [1, 2, 3].map((n) => aUser('ada', { id: `ada-${n}` }));
    const added = await Promise.all(users.map((user) => store.users.addUser(user)));
    expect(added.filter(Boolean)).to.have.length(1);
    expect(await store.users.getUser('ada')).to.deep.equal(users[added.indexOf(true)]);
    expect(await store.users.addUser(aUser('ada'))).to.equal(false);
  });

  it('removes a user with all that it owned, and nothing of others', async () => {
    const { store } = subject;
    // Names whose keys are close to those of `ada`.
    const others = ['ad', 'ada2', 'ada\u0000', 'adb'];
    for (const owner of ['ada', ...others]) await furnish(store, owner);
    await store.users.deleteUser('ada');
    await subject.reopen();
    expect(await belongings(subject.store, 'ada')).to.deep.equal(NOTHING);
    for (const owner of others) expect(await belongings(subject.store, owner), owner).to.deep.equal(ALL);
    expect(await subject.store.functions.isBundleUsed(SHA256)).to.equal(true);
    expect(await unsettledOwners(subject.store)).to.deep.equal(others);
    for (const owner of others) await subject.store.users.deleteUser(owner);
    expect(await subject.store.functions.isBundleUsed(SHA256)).to.equal(false);
  });

  it('removes more than it reads at once', async () => {
    const { store } = subject;
    await store.users.addUser(aUser('ada'));
    const calls = Array.from({ length: 2500 }, (_, index) => aCall(index + 1));
    await Promise.all(calls.map((call) => store.calls.settleCall(settled(call))));
    const names = Array.from({ length: 250 }, (_, index) => `f${index}`);
    await Promise.all(names.map((name) => store.functions.putFunction(aFunction(name), aVersion(name, 1))));
    await store.users.deleteUser('ada');
    expect(await belongings(store, 'ada')).to.deep.equal(NOTHING);
    expect(await store.calls.lastCallNum()).to.equal(2500);
  });

  it('adds a user of the same name only when nothing is left of the one before', async () => {
    const { store } = subject;
    await furnish(store, 'ada');
    const [, added] = await Promise.all([
      store.users.deleteUser('ada'),
      store.users.addUser(aUser('ada', { id: 'second' })),
    ]);
    expect(added).to.equal(true);
    expect(await belongings(store, 'ada')).to.deep.equal({ ...NOTHING, user: 'second' });
  });

  it('removes a user who is not there', async () => {
    await subject.store.users.deleteUser('nobody');
    expect(await subject.store.users.addUser(aUser('nobody'))).to.equal(true);
  });
}

const ALL = {
  user: 'id of it',
  functions: ['dice', 'image'],
  versions: [1],
  runtimes: ['python'],
  usesRuntime: true,
  calls: CALL_STATUSES.length - 1,
  byFunction: CALL_STATUSES.length - 1,
  pending: 1,
};
type Belongings = Omit<typeof ALL, 'user'> & { user: string | undefined };
const NOTHING: Belongings = {
  user: undefined,
  functions: [],
  versions: [],
  runtimes: [],
  usesRuntime: false,
  calls: 0,
  byFunction: 0,
  pending: 0,
};

/** Gives an owner one of each thing. */
async function furnish(store: Store, owner: string): Promise<void> {
  const own = (version: ReturnType<typeof aVersion>): typeof version => ({
    ...version,
    spec: { ...version.spec, owner },
  });
  await store.users.addUser(aUser(owner, { id: 'id of it' }));
  await store.functions.putRuntime(aRuntime('python', { owner }));
  await store.functions.putFunction(aFunction('dice', { owner }), own(aVersion('dice', 1)));
  await store.functions.putFunction(aFunction('image', { owner }), own(anImageVersion('image', 1)));
  for (const status of CALL_STATUSES) {
    if (status === 'RUNNING') continue;
    const call = aCall((await store.calls.lastCallNum()) + 1, { owner });
    await store.calls.acceptCall(call);
    if (status !== 'PENDING') await store.calls.settleCall(settled(call, { status }));
  }
}

async function belongings(store: Store, owner: string): Promise<Belongings> {
  const limit = 100;
  return {
    user: (await store.users.getUser(owner))?.id,
    functions: await store.functions.listFunctions({ owner, limit }),
    versions: await store.functions.listVersions(owner, 'dice'),
    runtimes: await store.functions.listRuntimes({ owner, limit: 9 }),
    usesRuntime: await store.functions.isRuntimeUsed(owner, '*', 'python'),
    calls: (await store.calls.listCalls({ owner, limit })).length,
    byFunction: (await store.calls.listCalls({ owner, limit, funcName: 'dice' })).length,
    pending: (await store.calls.listCalls({ owner, limit, status: 'PENDING' })).length,
  };
}

async function unsettledOwners(store: Store): Promise<string[]> {
  const owners: string[] = [];
  for await (const { owner } of store.calls.unsettledCalls()) owners.push(owner);
  return owners;
}
