import { createHash } from 'node:crypto';
import { ApiError, JsonText, Panal, resultBytes } from '@panal/client';
import { expect } from 'chai';
import { Cluster } from '../../testkit/cluster.js';
import { tarGz } from '../../testkit/archives.js';
import { errorFrom, all } from './support.js';

const OPERATOR = 'the-operators-token-of-this-very-test';

/** A handler that does what its parameters say. */
const OBEDIENT = `
export default async ({ log, fail, bytes, give } = {}) => {
  if (log !== undefined) console.log(log);
  if (fail !== undefined) throw new Error(fail);
  return bytes === undefined ? (give ?? 'nothing') : Buffer.from(bytes);
};
`;

describe('@panal/client with a cluster', function () {
  this.slow(10_000);
  let cluster: Cluster | undefined;
  let panal: Panal;

  before(async () => {
    cluster = await Cluster.start({ settings: { FAAS_SANDBOX: 'process', FAAS_OPERATOR_TOKEN: OPERATOR } });
    panal = new Panal({ url: cluster.url });
    const module = new Blob([tarGz([{ name: 'handler.mjs', content: OBEDIENT }])]);
    const settings = { lifecycle: 'hot', env: { MODE: 'test' }, timeoutMs: 30_000 } as const;
    await panal.functions.upload({ name: 'obedient', runtime: 'noderuntime', module, settings });
    await panal.functions.prepare('obedient', { wait: 60 });
  });
  after(async () => {
    await cluster?.stop();
  });

  it('uploads a function with its settings', async () => {
    const view = await panal.functions.get('obedient');
    expect(view).to.include({ runtimeName: 'noderuntime', lifecycle: 'hot', timeoutMs: 30_000 });
    expect(view.env).to.deep.equal({ MODE: 'test' });
    expect(view.sha256).to.match(/^[0-9a-f]{64}$/);
  });

  it('invokes a function, and passes its logs on while it runs', async () => {
    const pieces: string[] = [];
    const call = await panal.invoke(
      'obedient',
      { log: 'seen', give: { a: 1 } },
      { onLogs: (piece) => pieces.push(piece) },
    );
    expect(call).to.include({ status: 'DONE', result: '{"a":1}' });
    expect(pieces.join('')).to.equal('seen\n');
    const again = await panal.invoke('obedient', { give: 'short' });
    expect(again.result).to.equal('short');
  });

  it('sends JSON text as it is, and shows it as it is', async () => {
    const call = await panal.invoke('obedient', new JsonText('{"give":"x","n":1.0}'));
    expect(call.json).to.contain('"params":{"give":"x","n":1.0}');
  });

  it('shows a call that fails, and its logs', async () => {
    const call = await panal.invoke('obedient', { log: 'before', fail: 'on purpose' });
    expect(call).to.include({ status: 'FAILED' });
    expect(call.error).to.include({ code: 'FUNCTION_FAILED' });
    expect(await panal.calls.logText(call.callNum)).to.match(/^before\n/);
    const events = [];
    for await (const event of panal.calls.logs(call.callNum)) events.push(event);
    expect(events.at(-1)).to.deep.equal({ type: 'end', callNum: call.callNum, status: 'FAILED' });
  });

  it('runs a function on bytes, and gives back bytes', async () => {
    const done = await panal.run('obedient', '{"bytes":[0,255,10]}');
    expect([...done.bytes]).to.deep.equal([0, 255, 10]);
    const call = await panal.calls.get(done.callNum);
    expect([...resultBytes(call)]).to.deep.equal([0, 255, 10]);
    expect(await errorFrom(panal.run('obedient', '{"fail":"on purpose"}')))
      .to.be.instanceOf(ApiError)
      .and.to.include({
        code: 'FUNCTION_FAILED',
        status: 502,
        callNum: done.callNum + 1,
      });
  });

  it('lists workers, problems and metrics', async () => {
    const [worker] = await panal.workers();
    expect(worker?.slots).to.be.greaterThan(0);
    expect(await panal.problems()).to.deep.equal([]);
    expect(await panal.metrics()).to.match(/^panal_calls_/m);
  });

  it('streams a backup to the operator alone', async () => {
    expect(await errorFrom(panal.backup())).to.include({ code: 'UNAUTHORIZED', status: 401 });
    const operator = new Panal({ url: panal.url, credentials: { token: OPERATOR } });
    const hash = createHash('sha256');
    let size = 0;
    for await (const piece of await operator.backup()) {
      hash.update(piece);
      size += piece.byteLength;
    }
    expect(size % 512).to.equal(0);
    expect(size).to.be.greaterThan(1024);
  });

  it('rolls back, and deletes versions and functions', async () => {
    const before = await panal.functions.get('obedient');
    const after = await panal.functions.change('obedient', { timeoutMs: 20_000 });
    expect(after.version).to.equal(before.version + 1);
    await panal.functions.change('obedient', { activeVersion: before.version });
    await panal.functions.deleteVersion('obedient', after.version);
    const versions = [];
    for await (const { version, active } of panal.functions.versions('obedient'))
      versions.push({ version, active });
    expect(versions).to.deep.equal([{ version: before.version, active: true }]);
    await panal.functions.upload({
      name: 'other',
      runtime: 'noderuntime',
      module: new Blob([tarGz([{ name: 'handler.mjs', content: OBEDIENT }])]),
    });
    expect(await all(panal.functions.names())).to.deep.equal(['obedient', 'other']);
    await panal.functions.delete('other');
    expect(await errorFrom(panal.functions.get('other'))).to.include({
      code: 'FUNCTION_NOT_FOUND',
      status: 404,
    });
  });
});
