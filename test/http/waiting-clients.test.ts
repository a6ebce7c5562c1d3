import { expect } from 'chai';
import { errorCode, startedApi, type Reply } from './api.js';
import { Person } from './person.js';

describe('Clients that wait for calls or follow them', () => {
  const api = startedApi({ memory: { waiting: 4 } });

  for (const [what, ask] of [
    ['/run', () => api().send('POST', '/run/dice', '1')],
    ['?wait=', () => api().post('/invokeFunction?wait=60', { funcName: 'dice' })],
    ['prepare', () => api().send('POST', '/functions/dice/prepare?wait=60')],
    ['logs', () => api().get('/call/1/logs?follow=1')],
  ] satisfies [string, () => Promise<Reply>][]) {
    it(`are bounded for each owner, and no call of one that is refused is accepted: ${what}`, async () => {
      await api().registerImage('dice');
      const waiting = [api().send('POST', '/run/dice', '1'), api().send('POST', '/run/dice', '2')];
      const jobs = [await api().take(), await api().take()];
      const refused = await ask();
      expect([refused.status, errorCode(refused)]).to.deep.equal([429, 'QUEUE_FULL']);
      expect(Number(refused.headers.get('retry-after'))).to.be.at.least(1);
      expect(api().calls.unsettled).to.equal(2);

      const ana = await Person.register(api(), 'ana');
      await ana.registerImage('own');
      const others = ana.send('POST', '/run/own', '1');
      await api().end(await api().take(), "ana's");
      expect((await others).text).to.equal("ana's");

      for (const job of jobs) await api().end(job, 'done');
      await Promise.all(waiting);
      const again = api().send('POST', '/run/dice', '3');
      await api().end(await api().take(), 'again');
      expect((await again).text).to.equal('again');
    });
  }
});

describe('Clients that wait before the first user registers', () => {
  const api = startedApi({ memory: { waiting: 2, hasUsers: () => false } });

  it('take every place: there is nobody to leave one to', async () => {
    await api().registerImage('dice');
    const waiting = [api().send('POST', '/run/dice', '1'), api().send('POST', '/run/dice', '2')];
    const jobs = [await api().take(), await api().take()];
    expect(errorCode(await api().send('POST', '/run/dice', '3'))).to.equal('QUEUE_FULL');
    for (const job of jobs) await api().end(job, 'done');
    expect((await Promise.all(waiting)).map(({ status }) => status)).to.deep.equal([200, 200]);
  });
});
