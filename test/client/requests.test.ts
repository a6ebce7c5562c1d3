import { ApiError, ConnectionError, Panal, UnexpectedAnswerError, type Fetch } from '@panal/client';
import { expect } from 'chai';
import { startedApi } from '../http/api.js';
import { all, errorFrom } from './support.js';

/** Nothing listens on the port of `tcpmux`. */
const NOBODY = 'http://127.0.0.1:1';

describe('@panal/client', () => {
  const api = startedApi();
  const url = (): string => `http://127.0.0.1:${api().port}`;
  const panal = (): Panal => new Panal({ url: url() });

  it('registers users, and acts for them by password or token', async () => {
    await panal().users.register('ana@example.org', 'secret');
    expect(await errorFrom(panal().users.register('ana@example.org', 'x'))).to.include({
      code: 'ALREADY_EXISTS',
      status: 409,
    });
    const { token, expiresAt } = await panal().users.issueToken('ana@example.org', 'secret');
    expect(Date.parse(expiresAt)).to.be.greaterThan(api().now);
    const byToken = new Panal({ url: url(), credentials: { token } });
    expect(await byToken.users.me()).to.include({ email: 'ana@example.org' });
    await byToken.users.changePassword('secret', 'pässwörd');
    expect(await errorFrom(byToken.users.me())).to.include({ code: 'UNAUTHORIZED' });
    const byPassword = new Panal({
      url: url(),
      credentials: { user: 'ana@example.org', password: 'pässwörd' },
    });
    expect(await byPassword.users.verify()).to.equal('ana@example.org');
    await byPassword.users.revokeTokens();
    await byPassword.users.deleteMe();
    expect(await errorFrom(byPassword.users.me())).to.include({ code: 'UNAUTHORIZED' });
  });

  it('registers, lists, shows and deletes runtimes', async () => {
    const runtime = { image: 'team/perl:5', path: '/ws', run: 'perl main.pl' };
    expect(await panal().runtimes.register(runtime)).to.include({ name: 'perl', bundled: false });
    expect(await all(panal().runtimes.names())).to.deep.equal(['perl', 'pythonruntime']);
    expect(await panal().runtimes.get('perl')).to.include(runtime);
    await panal().runtimes.delete('perl');
    expect(await errorFrom(panal().runtimes.get('perl'))).to.include({ code: 'RUNTIME_NOT_FOUND' });
  });

  it('gives each call a key, so that a request that is sent again makes no second call', async () => {
    await api().registerImage('f');
    let lost = 0;
    const losesFirstAnswer: Fetch = async (...request) => {
      const response = await fetch(...request);
      if (request[1].method === 'POST' && lost++ === 0) {
        await response.arrayBuffer();
        throw new TypeError('fetch failed');
      }
      return response;
    };
    const client = new Panal({ url: url(), fetch: losesFirstAnswer });
    const { callNum } = await client.calls.start('f', { a: 1 });
    expect(lost).to.equal(2);
    expect((await client.calls.page()).calls.map((call) => call.callNum)).to.deep.equal([callNum]);
  });

  it('sends nothing twice that could count twice', async () => {
    let sent = 0;
    const fails: Fetch = async () => {
      sent += 1;
      throw new TypeError('fetch failed');
    };
    const client = new Panal({ url: url(), fetch: fails });
    expect(await errorFrom(client.run('f', 'x'))).to.be.instanceOf(ConnectionError);
    expect(
      await errorFrom(client.functions.registerImage({ functionName: 'f', image: 'f' })),
    ).to.be.instanceOf(ConnectionError);
    expect(sent).to.equal(2);
  });

  it('takes a call from its start to its end', async () => {
    await api().registerImage('f');
    const started = await panal().calls.start('f', { a: 1 });
    const ended = panal().calls.wait(started.callNum);
    await api().end(await api().take(), 'result', {}, 'logs');
    expect(await ended).to.include({ status: 'DONE', result: 'result', logs: 'logs' });
    expect(await errorFrom(panal().calls.cancel(started.callNum))).to.include({ code: 'CALL_SETTLED' });
    expect(await errorFrom(panal().calls.retry(started.callNum))).to.include({ code: 'CALL_NOT_DEAD' });
  });

  it('gives the same call for the same key', async () => {
    await api().registerImage('f');
    const first = await panal().calls.start('f', 1, { idempotencyKey: 'k' });
    expect(await panal().calls.start('f', 1, { idempotencyKey: 'k' })).to.deep.equal(first);
    expect(await errorFrom(panal().calls.start('f', 2, { idempotencyKey: 'k' }))).to.include({
      code: 'IDEMPOTENCY_KEY_REUSED',
      status: 422,
    });
  });

  it('lists calls page by page', async () => {
    await api().registerImage('f');
    for (let n = 0; n < 5; n++) await panal().calls.start('f', n);
    const page = await panal().calls.page({ limit: 2, status: 'PENDING' });
    expect(page.calls.map(({ params }) => params)).to.deep.equal([4, 3]);
    const next = await panal().calls.page({ limit: 2, before: page.next ?? 0 });
    expect(next.calls.map(({ params }) => params)).to.deep.equal([2, 1]);
    expect((await all(panal().calls.list({ funcName: 'f' }))).map(({ params }) => params)).to.deep.equal([
      4, 3, 2, 1, 0,
    ]);
  });

  it('says how long to wait before another attempt', async () => {
    await api().registerImage('f');
    const starts = Array.from({ length: 201 }, () => panal().calls.start('f'));
    const refused = (await Promise.allSettled(starts)).filter(({ status }) => status === 'rejected');
    const [error] = refused.map((each) => ('reason' in each ? (each.reason as unknown) : undefined));
    expect(error).to.be.instanceOf(ApiError).and.to.include({ code: 'QUEUE_FULL', status: 429 });
    expect(error).to.have.property('retryAfter').that.is.a('number');
  });

  it('says why a cluster is not ready', async () => {
    api().problems.push('no worker is connected');
    expect(await panal().problems()).to.deep.equal(['no worker is connected']);
  });

  it('tells no answer from the answer of something else', async () => {
    expect(await errorFrom(new Panal({ url: NOBODY, retries: 0 }).workers())).to.be.instanceOf(
      ConnectionError,
    );
    const html: Fetch = async () => new Response('<html>hello</html>', { status: 200 });
    expect(await errorFrom(new Panal({ url: NOBODY, fetch: html }).workers())).to.be.instanceOf(
      UnexpectedAnswerError,
    );
    expect(() => new Panal({ url: 'localhost:3000' })).to.throw(TypeError);
  });

  it('accepts fields that a newer broker adds, also within others', async () => {
    await api().registerImage('f', { retry: { attempts: 2 } });
    const newer: Fetch = async (...request) => {
      const text = await (await fetch(...request)).text();
      return new Response(
        text.replace('"attempts":2', '"attempts":2,"jitter":0.5').replace('{', '{"team":"x",'),
      );
    };
    const view = await new Panal({ url: url(), fetch: newer }).functions.get('f');
    expect(view).to.have.property('team', 'x');
    expect(view.retry).to.deep.equal({ attempts: 2, jitter: 0.5, backoffMs: 1000 });
  });

  it('refuses an answer without a field that every broker has', async () => {
    const other: Fetch = async () => Response.json({ createdAt: '2026-01-01T00:00:00Z' });
    expect(await errorFrom(new Panal({ url: NOBODY, fetch: other }).users.me())).to.be.instanceOf(
      UnexpectedAnswerError,
    );
  });

  it('stops with the reason of its signal', async () => {
    await api().registerImage('f');
    const { callNum } = await panal().calls.start('f');
    const stop = new AbortController();
    const waiting = panal().calls.wait(callNum, { signal: stop.signal });
    stop.abort(new Error('enough'));
    expect(await errorFrom(waiting)).to.have.property('message', 'enough');
    expect((await panal().calls.get(callNum)).status).to.equal('PENDING');
  });
});
