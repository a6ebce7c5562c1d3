import { expect } from 'chai';
import { memoryInUse } from '../support/memory-in-use.js';
import { startedApi } from './api.js';

const MiB = 1024 * 1024;

describe('The versions that the broker keeps in memory', () => {
  const api = startedApi();

  it('are bounded in bytes, however long their environments are', async () => {
    await api().registerImage('first');
    const before = memoryInUse();
    for (let count = 0; count < 600; count++) {
      const text = `${count}`.padEnd(30_000, 'x');
      const reply = await api().registerImage(`large-${count}`, { env: { A: text, B: `${text}y` } });
      expect(reply.status).to.equal(201);
    }
    expect(memoryInUse() - before).to.be.below(20 * MiB);
    const call = await api().post('/invokeFunction', { funcName: 'large-0' });
    expect(call.status).to.equal(202);
  });
});
