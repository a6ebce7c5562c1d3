import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import type { CallQuery } from '@panal/db';
import { tarGz } from '../../testkit/archives.js';
import { processorMs } from '../support/processor-time.js';
import { errorCode, startedApi } from './api.js';
import { basic, Person } from './person.js';

const module = tarGz([{ name: 'test.py', content: 'print(1)' }]);

describe('a hostile request', () => {
  const api = startedApi();

  /** Sends these lines as they are, and gives the whole answer. */
  async function raw(...lines: string[]): Promise<string> {
    const socket = connect(api().port, '127.0.0.1');
    socket.write(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`);
    return await text(socket);
  }

  it('does not take longer to refuse where a command is long and ends in NUL', async () => {
    // Matched in every way there is, as once, it takes half a minute to refuse 63 KB.
    const refusal = (run: string): Promise<number> =>
      processorMs(async () => {
        const reply = await api().post('/registerRuntime', { image: 'dice', path: '/ws', run });
        expect([reply.status, errorCode(reply)]).to.deep.equal([400, 'INVALID_REQUEST']);
      });
    const long = 'x'.repeat(63_000);
    const atTheStart = await refusal(`\0${long}`);
    expect((await refusal(`${long}\0`)) / atTheStart).to.be.below(20);
  });

  it('does not hide a header behind a thousand others', async () => {
    await Person.register(api(), 'ana');
    const { Authorization } = basic('ana', 'secret');
    const many = Array.from({ length: 1500 }, () => 'a:');
    const one = await raw('GET /users/me HTTP/1.1', 'Host: x', ...many, `Authorization: ${Authorization}`);
    expect(one).to.match(/^HTTP\/1.1 200 /);
    const both = [`Authorization: ${Authorization}`, ...many, 'Authorization: Basic eDp5'];
    expect(await raw('GET /users/me HTTP/1.1', 'Host: x', ...both)).to.contain(
      'several Authorization headers',
    );
  });

  it('for a target that is no URL is told so', async () => {
    const answer = await raw('GET http://[::1/x HTTP/1.1', 'Host: x');
    expect(answer)
      .to.match(/^HTTP\/1.1 400 /)
      .and.to.contain('INVALID_REQUEST');
    expect(api().logged).to.deep.equal([]);
  });

  it('that a page of another site makes a browser send is refused, and nothing happens', async () => {
    await api().registerImage('dice');
    for (const headers of [
      { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
      { 'sec-fetch-site': 'same-site', origin: `http://127.0.0.1:${api().port}` },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      const plain = { ...headers, 'content-type': 'text/plain' };
      for (const reply of [
        await api().post('/invokeFunction', { funcName: 'dice' }, plain),
        await api().send('POST', '/run/dice', 'x', plain),
        await api().post('/users', { email: 'eve@example.org', password: 'x' }, plain),
        await api().send('DELETE', '/functions/dice', undefined, headers),
      ]) {
        expect([headers, reply.status, errorCode(reply)]).to.deep.equal([headers, 403, 'FORBIDDEN']);
      }
    }
    expect((await api().get('/calls')).text).to.equal('{}');
    expect((await api().get('/functions')).json).to.deep.equal(['dice']);
  });

  it('is told from one that a page of the broker itself, or its user, makes a browser send', async () => {
    await api().registerImage('dice');
    const origin = `http://127.0.0.1:${api().port}`;
    for (const headers of [
      { 'sec-fetch-site': 'same-origin', origin },
      { origin },
      { 'sec-fetch-site': 'none' },
    ]) {
      expect((await api().post('/invokeFunction', { funcName: 'dice' }, headers)).status).to.equal(202);
    }
    const link = await api().send('GET', '/functions', undefined, { 'sec-fetch-site': 'cross-site' });
    expect(link.status).to.equal(200);
  });

  it('with a forbidden key in a field of a form is refused', async () => {
    const reply = await api().upload('dice', module, { env: '{"__proto__":"x","A":"1"}' });
    expect([reply.status, errorCode(reply)]).to.deep.equal([400, 'INVALID_REQUEST']);
    expect(reply.text).to.contain('__proto__');
    expect(await api().storedBundles()).to.deep.equal([]);
  });

  it('for many calls has few of them read at a time, however many such requests there are', async () => {
    await api().registerImage('dice');
    for (let i = 0; i < 40; i++) await api().post('/invokeFunction', { funcName: 'dice', params: i });
    const { store } = api();
    const list = store.calls.listCalls.bind(store.calls);
    let reading = 0;
    let most = 0;
    store.calls.listCalls = async (query: CallQuery) => {
      reading += query.limit;
      most = Math.max(most, reading);
      const found = await list(query);
      reading -= query.limit;
      return found;
    };
    const pages = await Promise.all(Array.from({ length: 4 }, () => api().get('/calls?limit=1000')));
    for (const page of pages) expect(Object.keys(page.json as object)).to.have.length(40);
    expect(most).to.be.at.most(16);
    const cut = await api().get('/calls?limit=33');
    expect(Object.keys(cut.json as object)).to.have.length(33);
    expect(cut.headers.get('link')).to.contain('before=8');
  });
});
