import { expect } from 'chai';
import { LoopProcess, READY, TRANSPORTS } from './loop-process.js';

const HANDLER = `
import cluster from 'node:cluster';
import { once } from 'node:events';

if (cluster.isWorker) process.send('from the worker');

export default async ({ do: what, give }) => {
  if (what === 'end') process.stdout.end('the end\\n');
  if (what === 'destroy') process.stdout.destroy();
  if (what === 'replace') Object.defineProperty(process, 'stdout', { value: undefined, configurable: true });
  if (what === 'cluster') {
    const worker = cluster.fork();
    const [message] = await once(worker, 'message');
    worker.kill();
    await once(worker, 'exit');
    return message;
  }
  if (what !== undefined) console.error('still printed');
  return give ?? 'ok';
};
`;

for (const transport of TRANSPORTS) {
  describe(`a Node.js handler over ${transport}`, () => {
    let loop: LoopProcess;
    beforeEach(async () => {
      loop = await LoopProcess.start('Node.js', transport, HANDLER);
      expect((await loop.next())?.type).to.equal(READY);
    });
    afterEach(() => loop.stop());

    for (const what of ['end', 'destroy', 'replace']) {
      it(`may ${what} what it prints to`, async () => {
        for (let times = 0; times < 2; times += 1) {
          const { result, logs } = await loop.call(JSON.stringify({ do: what }));
          expect(result.toString()).to.equal('ok');
          expect(logs).to.equal(what === 'end' ? 'the end\nstill printed\n' : 'still printed\n');
        }
      });
    }

    it('has workers of a cluster that serve none of its calls', async () => {
      expect((await loop.call('{"do":"cluster"}')).result.toString()).to.equal('from the worker');
      expect((await loop.call('{"give":"next"}')).result.toString()).to.equal('next');
    });

    it('names its call where it is asked to', async () => {
      expect((await loop.call('{}', { call: '17.2' })).text).to.equal('\0' + '17.2');
      expect((await loop.call('{}')).text).to.equal('');
    });
  });
}
