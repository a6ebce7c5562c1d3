import { request } from 'node:http';
import { PUBLIC_OWNER } from '@panal/protocol';
import { expect } from 'chai';
import { tarGz } from '../../testkit/archives.js';
import { Gate } from '../support/gate.js';
import { eventually } from '../../testkit/wait.js';
import { Api, errorCode, startedApi, type Reply } from './api.js';

describe('Code that was uploaded over HTTP', () => {
  const api = startedApi();
  const code = (text = ''): Buffer => tarGz([{ name: 'test.py', content: text }]);
  const remove = async (path: string): Promise<number> => (await api().send('DELETE', path)).status;
  const bundles = async (): Promise<number> => (await api().storedBundles()).length;

  it('goes with its function', async () => {
    await api().upload('dice', code());
    await api().upload('dice', code('second'));
    await api().upload('coin', code('second'));
    expect(await remove('/functions/dice')).to.equal(204);
    expect(await bundles()).to.equal(1);
    expect(await remove('/functions/coin')).to.equal(204);
    expect(await bundles()).to.equal(0);
  });

  it('goes with its version, unless another has the same', async () => {
    for (const text of ['1', '2', '2', '3']) await api().upload('dice', code(text));
    for (const [version, left] of [
      [1, 2],
      [2, 2],
      [3, 1],
    ]) {
      expect(await remove(`/functions/dice/versions/${version}`)).to.equal(204);
      expect(await bundles()).to.equal(left);
    }
  });

  it('stays for the calls that were accepted with it, also across a restart, and goes with the last', async () => {
    await api().upload('dice', code());
    for (let n = 0; n < 2; n++) await api().post('/invokeFunction', { funcName: 'dice' });
    await remove('/functions/dice');
    await api().end(await api().take(), 'first');
    await api().keeper.sweep();
    expect(await bundles()).to.equal(1);
    await api().stop();
    const next = new Api(api().folder);
    await next.start();
    try {
      await next.keeper.sweep();
      expect(await next.storedBundles()).to.have.length(1);
      await next.end(await next.take(), 'second');
      await eventually('it is gone', async () => (await next.storedBundles()).length === 0);
      expect(await next.store.functions.listKeptVersions()).to.deep.equal([]);
    } finally {
      await next.stop();
    }
  });

  it('is there for every call that is accepted while its function is deleted', async () => {
    for (let round = 0; round < 6; round++) {
      await api().upload('dice', code(String(round)));
      const calls = Array.from({ length: 20 }, (_, n) =>
        api().post(
          '/invokeFunction',
          { funcName: 'dice' },
          n % 2 ? { 'Idempotency-Key': `${round}-${n}` } : {},
        ),
      );
      const deleted = remove('/functions/dice');
      const answers = await Promise.all(calls);
      expect(await deleted).to.equal(204);
      const accepted = answers.filter(({ status }) => status === 202).map(numberOf);
      for (const callNum of accepted) {
        const call = await api().store.calls.getCall(PUBLIC_OWNER, callNum);
        expect(
          await api().store.functions.getKeptVersion(call?.functionId ?? ''),
          'its version',
        ).not.to.equal(undefined);
      }
      expect(await bundles()).to.equal(accepted.length > 0 ? 1 : 0);
      for (const callNum of accepted) await api().send('DELETE', `/call/${callNum}`);
      await eventually('it is gone', async () => (await bundles()) === 0);
    }
  });

  it('serves no call that comes while its function is being removed from the store', async () => {
    await api().upload('dice', code());
    const gate = new Gate();
    const { store } = api();
    const deleteFunction = store.functions.deleteFunction.bind(store.functions);
    store.functions.deleteFunction = async (owner, name) => {
      await gate.pass();
      await deleteFunction(owner, name);
    };
    const deleted = remove('/functions/dice');
    await eventually('it is being removed', () => gate.arrivals === 1);
    const call = api().post('/invokeFunction', { funcName: 'dice' });
    // Nothing of it comes back before the deletion ends; a call that comes through would be taken here.
    expect(await Promise.race([call, api().get('/functions')])).to.have.property('status', 200);
    gate.open();
    expect(await deleted).to.equal(204);
    expect(errorCode(await call)).to.equal('FUNCTION_NOT_FOUND');
    expect(await bundles()).to.equal(0);
  });

  it('serves no call whose parameter was still coming when its function was deleted', async () => {
    await api().upload('dice', code());
    const answer = new Promise<number | undefined>((resolve, reject) => {
      const slow = request({ port: api().port, path: '/run/dice', method: 'POST' });
      slow.once('error', reject).once('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      slow.write('half of it');
      slow.once('socket', (socket) => {
        const rest = async (): Promise<void> => {
          expect(await remove('/functions/dice')).to.equal(204);
          slow.end('the other half');
        };
        socket.once('connect', () => void rest().catch(reject));
      });
    });
    expect(await answer).to.equal(404);
    expect(api().calls.unsettled).to.equal(0);
    expect(await bundles()).to.equal(0);
  });

  it('serves no call whose key was still being looked up when its function was deleted', async () => {
    await api().upload('dice', code());
    const gate = new Gate();
    const { store } = api();
    const find = store.keys.getKeyedCall.bind(store.keys);
    store.keys.getKeyedCall = async (owner, key) => {
      await gate.pass();
      return await find(owner, key);
    };
    const call = api().post('/invokeFunction', { funcName: 'dice' }, { 'Idempotency-Key': 'k' });
    await eventually('the key is looked up', () => gate.arrivals === 1);
    await remove('/functions/dice');
    gate.open();
    expect(errorCode(await call)).to.equal('FUNCTION_NOT_FOUND');
    expect(await bundles()).to.equal(0);
  });

  it('is in a backup that was begun before it went', async () => {
    await api().upload('dice', code('in the backup'));
    const stream = await api().services.backups.begin();
    await remove('/functions/dice');
    await api().keeper.sweep();
    expect(await bundles()).to.equal(0);
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).includes(code('in the backup'))).to.equal(true);
  });
});

const numberOf = ({ json }: Reply): number => (json as { callNum: number }).callNum;
