import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { memoryInUse } from '../support/memory-in-use.js';
import { eventually } from '../../testkit/wait.js';
import { startedApi } from './api.js';
import { Person } from './person.js';

const MiB = 1024 * 1024;
const BUDGET = 24 * MiB;

/** As JSON it is six times as long. */
const RESULT = new Uint8Array(2 * MiB);
const CLIENTS = 40;

describe('Large answers that clients do not take', () => {
  const api = startedApi({ memory: { answers: BUDGET } });
  let clients: Socket[];
  beforeEach(() => (clients = []));
  afterEach(() => {
    for (const client of clients) client.destroy();
  });

  /** Sends a request, and reads nothing of its answer. */
  async function ask(request: string): Promise<Socket> {
    const client = connect(api().port, '127.0.0.1').pause();
    client.on('error', () => client.destroy());
    clients.push(client);
    await once(client, 'connect');
    client.write(`${request} HTTP/1.1\r\nHost: x\r\n`);
    return client;
  }

  for (const path of ['/call/1', '/call/1/logs', '/calls?limit=1000']) {
    it(`are bounded in bytes, and another owner gets its own: ${path}`, async () => {
      await api().registerImage('dice');
      const calls = path.startsWith('/calls') ? 100 : 1;
      const bytes = path.startsWith('/calls') ? RESULT.subarray(0, 16 * 1024) : RESULT;
      for (let count = 0; count < calls; count++) {
        await api().post('/invokeFunction', { funcName: 'dice' });
        await api().end(await api().take(), bytes, {}, path.endsWith('logs') ? 'x'.repeat(12 * MiB) : '');
      }
      const before = memoryInUse();
      for (let count = 0; count < CLIENTS; count++) (await ask(`GET ${path}`)).write('\r\n');
      const ana = await Person.register(api(), 'ana');
      await ana.registerImage('own');
      const own = ana.send('POST', '/run/own', '1');
      await api().end(await api().take(), RESULT);
      expect((await own).bytes.byteLength).to.equal(RESULT.byteLength);
      const { answers, readings } = api().services.memory;
      const made = (): boolean => answers.bytes > BUDGET / 4 && readings.isFree('public');
      await eventually('the others have answers', made);
      expect(answers.bytes).to.be.at.most(BUDGET);
      // What is made or given up at this moment comes on top; an answer for each client would be twice as much.
      expect(memoryInUse() - before).to.be.below((CLIENTS * 6 * RESULT.byteLength) / 2);
    });
  }

  it('of one call that many wait for are made one after the other', async () => {
    await api().registerImage('dice');
    const body = '{"funcName":"dice"}';
    for (let count = 0; count < CLIENTS; count++) {
      const client = await ask('POST /invokeFunction?wait=60');
      client.write(`Idempotency-Key: k\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }
    await eventually('all wait', () => api().services.memory.waiting.taken === CLIENTS);
    const before = memoryInUse();
    await api().end(await api().take(), RESULT);
    await eventually('all are answered', () => api().services.memory.waiting.taken === 0);
    expect(memoryInUse() - before).to.be.below(2 * BUDGET);
    expect(api().services.memory.answers.bytes).to.be.at.most(BUDGET);
  });
});
