import { expect } from 'chai';
import { LoopProcess, READY, TRANSPORTS, callFrames } from './loop-process.js';

const HANDLER = `
import cluster from 'node:cluster';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';

console.log('said while it was imported');
await once(spawn('echo', ['a program said while it was imported'], { stdio: 'inherit' }), 'exit');
const WRITE = 'cat go; echo late; echo late too >&2; exec >gone 2>&1';

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
  if (what === 'child') {
    console.log('before');
    await once(spawn('sh', ['-c', 'echo from a program; echo and its errors >&2'], { stdio: 'inherit' }), 'exit');
    console.log('after');
    await once(spawn('echo', ['to stdout'], { stdio: ['ignore', process.stdout, 'pipe'] }), 'exit');
    return 'ok';
  }
  if (what === 'flood') {
    await once(spawn('sh', ['-c', 'head -c 1000000 /dev/zero | tr "\\\\0" x'], { stdio: 'inherit' }), 'exit');
    return 'ok';
  }
  if (what === 'leave') {
    execFileSync('mkfifo', ['go', 'gone']);
    spawn('sh', ['-c', WRITE], { stdio: 'inherit' });
    console.log('started');
    return 'left';
  }
  if (what === 'let go') {
    console.log('in the next call');
    fs.closeSync(fs.openSync('go', 'w'));
    fs.readFileSync('gone');
    return 'ok';
  }
  if (what === 'reject late') {
    void turn().then(() => { throw new Error('a late rejection'); });
    return 'answered';
  }
  if (what === 'throw late') {
    setTimeout(() => { throw new Error('a late exception'); });
    return 'answered';
  }
  if (what === 'throw in the next') {
    globalThis.throwNow = new Promise((resolve) => globalThis.now = resolve).then(() => {
      setTimeout(() => { throw new Error('a late exception'); });
    });
    return 'answered';
  }
  if (what === 'be the next') {
    globalThis.now?.();
    await globalThis.throwNow;
    await pause(5);
    return 'answered too';
  }
  if (what === 'throw now') {
    setTimeout(() => { throw new Error('in its own call'); });
    await pause(60_000);
  }
  if (['end', 'destroy', 'replace'].includes(what)) console.error('still printed');
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

    it('has in its logs what its programs print, in order, and the next call has not', async () => {
      const expected = 'before\nfrom a program\nand its errors\nafter\nto stdout\n';
      for (let times = 0; times < 10; times += 1) {
        expect((await loop.call('{"do":"child"}')).logs).to.equal(expected);
        expect((await loop.call('{"give":"next"}')).logs).to.equal('');
      }
      expect((await loop.call('{"do":"flood"}')).logs).to.equal('x'.repeat(1_000_000));
    });

    it("has in no later call's logs what a program prints that it left behind", async () => {
      expect(await loop.call('{"do":"leave"}')).to.include({ logs: 'started\n' });
      expect((await loop.call('{"do":"let go"}')).logs).to.equal('in the next call\n');
      expect((await loop.call('{"give":"next"}')).logs).to.equal('');
    });

    it('has in no logs what was said outside of calls, but on the real stderr in the end', async () => {
      expect((await loop.call('{"give":"next"}')).logs).to.equal('');
      loop.hangUp();
      const said = 'said while it was imported\na program said while it was imported\n';
      expect(await loop.stderr).to.equal(said);
    });

    for (const what of ['reject late', 'throw late', 'throw in the next']) {
      it(`harms no later call if it comes to ${what}`, async () => {
        const late = await loop.call(JSON.stringify({ do: what }), { callNum: 41 });
        expect(late).to.include({ exitCode: 0, logs: '' });
        const next = await loop.call('{"do":"be the next"}', { callNum: 42 });
        expect(next.result.toString()).to.equal('answered too');
        expect(next.logs).to.match(/^An error of call 41, after its answer: Error: a late /);
        expect((await loop.call('{"give":"last"}')).logs).to.equal('');
      });
    }

    it('ends by an exception of the call that runs, which has it in its logs', async () => {
      await loop.send(callFrames('{"do":"throw now"}'));
      expect((await loop.next())?.payload.toString()).to.match(/^Error: in its own call\n/);
      expect(await loop.exitCode).to.equal(1);
    });

    it('names its call where it is asked to', async () => {
      expect((await loop.call('{}', { call: '17.2' })).text).to.equal('\0' + '17.2');
      expect((await loop.call('{}')).text).to.equal('');
    });
  });
}
