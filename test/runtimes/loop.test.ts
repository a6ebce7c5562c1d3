import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { COUNTING, UNLOADABLE, VARIOUS } from './handlers.js';
import {
  CANCEL,
  LANGUAGES,
  type Language,
  LoopProcess,
  READY,
  SHUTDOWN,
  TRANSPORTS,
  type Transport,
  callFrames,
  frame,
} from './loop-process.js';

const FIVE_MIB = 5 << 20;
const EXITED = 0;

for (const language of Object.keys(LANGUAGES) as Language[]) {
  for (const transport of TRANSPORTS) {
    describe(`the ${language} handler loop over ${transport}`, () => {
      describe('with one process for many calls', () => {
        const loop = shared(language, transport);

        it('says that it is ready before anything else', () => {
          expect(loop().ready?.type).to.equal(READY);
          expect(loop().ready?.payload.toString()).to.equal('{"protocol":1,"kind":"handler"}');
        });

        it('takes JSON and gives JSON without spaces, in UTF-8', async () => {
          const { result, logs, exitCode, reason, text } = await loop().call(
            '{"a": [1, 2.5, null], "é": "ñ"}',
          );
          expect(result.toString()).to.equal('{"a":[1,2.5,null],"é":"ñ"}');
          expect({ logs, exitCode, reason, text }).to.deep.equal({
            logs: '',
            exitCode: 0,
            reason: EXITED,
            text: '',
          });
        });

        it('gives the handler {} for an empty body', async () => {
          expect((await loop().call('')).result.toString()).to.equal('{}');
        });

        it('gives the handler a body that is not JSON as a string', async () => {
          expect((await loop().call('4d6 olé')).result.toString()).to.equal('text 4d6 olé');
          expect((await loop().call('NaN')).result.toString()).to.equal('text NaN');
        });

        it('gives the handler a body that is not UTF-8 as bytes', async () => {
          const body = Buffer.from([0xff, 0x00, 0xfe]);
          const { result } = await loop().call(body);
          expect(result).to.deep.equal(Buffer.concat([Buffer.from('bytes '), body]));
        });

        it('tells the handler of its call', async () => {
          const header = {
            callNum: 7,
            functionName: 'dice',
            version: 3,
            deadline: 1700000000123,
            attempt: 2,
          };
          const { result } = await loop().call('{"do":"context"}', { ...header, later: 'unknown=keys' });
          expect(JSON.parse(result.toString())).to.deep.equal(header);
        });

        it('gives back a string, bytes and nothing each as what they are', async () => {
          expect((await loop().call('{"do":"text"}')).result.toString()).to.equal('olé\n');
          expect((await loop().call('{"do":"bytes"}')).result).to.deep.equal(Buffer.from([0, 255, 10]));
          expect((await loop().call('{"do":"nothing"}')).result.toString()).to.equal('null');
        });

        it('waits for a value that comes later', async () => {
          expect((await loop().call('{"do":"later"}')).result.toString()).to.equal('["later"]');
        });

        it('turns what the handler prints into logs, in order', async () => {
          const { result, logs } = await loop().call('{"do":"print"}');
          expect(result.toString()).to.equal('1');
          expect(logs).to.equal('to stdout\nto stderr\nno newline');
        });

        it('keeps what goes past its print functions, and child processes, out of the frames', async () => {
          expect((await loop().call('{"do":"stray"}')).result.toString()).to.equal('1');
          expect((await loop().call('{"n":1}')).result.toString()).to.equal('{"n":1}');
        });

        it('does not tell the handler where its socket is', async () => {
          const { result } = await loop().call('{"do":"environment"}');
          expect(JSON.parse(result.toString()))
            .to.include.keys('PATH')
            .and.not.to.have.property('FAAS_SOCKET');
        });

        it('fails a call whose handler raises, and serves the next', async () => {
          const { result, logs, exitCode, reason, text } = await loop().call('{"do":"raise"}');
          expect({ exitCode, reason, size: result.length }).to.deep.equal({
            exitCode: 1,
            reason: EXITED,
            size: 0,
          });
          expect(text).to.match(/^\S*(Bad|RangeError): a bad roll$/);
          expect(logs).to.contain('in two lines').and.to.contain(LANGUAGES[language].handler);
          expect((await loop().call('{"n":1}')).exitCode).to.equal(0);
        });

        for (const what of ['unserialisable', 'not a number']) {
          it(`fails a call whose value has no JSON text: ${what}`, async () => {
            const { exitCode, text, logs } = await loop().call(`{"do":"${what}"}`);
            expect(exitCode).to.equal(1);
            expect(text).to.match(/Error: ./);
            expect(logs).to.contain('Error');
          });
        }

        it('carries 5 MiB there and back to the byte', async () => {
          const body = Buffer.concat([Buffer.from([0xff]), randomBytes(FIVE_MIB)]);
          const { result } = await loop().call(body);
          expect(result.equals(Buffer.concat([Buffer.from('bytes '), body]))).to.equal(true);
        });

        it('splits a result of 5 MiB into frames that are not longer than 1 MiB', async () => {
          await loop().send(callFrames('{"do":"big","mib":5}'));
          const sizes: number[] = [];
          for (let size = 0; size < FIVE_MIB; size += sizes.at(-1) ?? FIVE_MIB) {
            sizes.push((await loop().next())?.payload.length ?? FIVE_MIB);
          }
          expect(sizes).to.deep.equal(Array(5).fill(1 << 20));
          expect((await loop().outcome()).exitCode).to.equal(0);
        });

        it('puts together frames that come byte by byte', async () => {
          const outcome = loop().outcome();
          for (const byte of callFrames('{"n":1}')) await loop().send(Buffer.from([byte]));
          expect((await outcome).result.toString()).to.equal('{"n":1}');
        });

        it('passes over a CANCEL that comes too late, and a frame that it does not know', async () => {
          await loop().send(Buffer.concat([frame(CANCEL), frame(0x0f, 'what')]));
          expect((await loop().call('{"n":1}')).result.toString()).to.equal('{"n":1}');
        });
      });

      const started = each(language, transport);

      it('keeps the process of an async handler between calls', async () => {
        const loop = await started(COUNTING[language]);
        expect((await loop.next())?.type).to.equal(READY);
        const outcomes = [await loop.call(''), await loop.call('')];
        expect(outcomes.map(({ result }) => result.toString())).to.deep.equal(['1', '2']);
        expect(outcomes.map(({ logs }) => logs)).to.deep.equal(['', '']);
        loop.hangUp();
        expect(await loop.stderr).to.equal(language === 'Python' ? 'loading' : 'loading\n');
      });

      for (const [message, handler] of Object.entries(UNLOADABLE[language])) {
        it(`exits with 1 and is never ready where its handler cannot be loaded: ${message}`, async () => {
          const loop = await started(handler);
          expect(await loop.next()).to.equal(undefined);
          expect(await loop.exitCode).to.equal(1);
          expect(await loop.stderr).to.match(new RegExp(message));
        });
      }

      it('ends where the handler exits, after its last words and without a DONE', async () => {
        const loop = await started(VARIOUS[language]);
        await loop.next();
        await loop.send(callFrames('{"do":"exit"}'));
        expect((await loop.next())?.payload.toString()).to.equal('last words');
        expect(await loop.next()).to.equal(undefined);
        expect(await loop.exitCode).to.equal(3);
      });

      it('ends with 0 when told to', async () => {
        const loop = await started(VARIOUS[language]);
        await loop.next();
        await loop.send(frame(SHUTDOWN));
        expect(await loop.exitCode).to.equal(0);
      });

      it('ends with 0 where the worker goes away', async () => {
        const loop = await started(VARIOUS[language]);
        await loop.next();
        loop.hangUp();
        expect(await loop.exitCode).to.equal(0);
      });

      if (transport === 'stdio') {
        it('leaves the handler an empty stdin', async () => {
          const loop = await started(VARIOUS[language]);
          await loop.next();
          expect((await loop.call('{"do":"read stdin"}')).result.toString()).to.equal('');
        });
      }
    });
  }
}

/** One process for all tests of a group. */
function shared(language: Language, transport: Transport) {
  let loop: (LoopProcess & { ready?: Awaited<ReturnType<LoopProcess['next']>> }) | undefined;
  before(async () => {
    loop = await LoopProcess.start(language, transport, VARIOUS[language]);
    loop.ready = await loop.next();
  });
  after(() => loop?.stop());
  return () => {
    if (loop === undefined) throw new Error('only inside of a test');
    return loop;
  };
}

/** Starts a process in a test, which is stopped after it. */
function each(language: Language, transport: Transport) {
  let loop: LoopProcess | undefined;
  afterEach(async () => {
    await loop?.stop();
    loop = undefined;
  });
  return async (handler: string) => (loop = await LoopProcess.start(language, transport, handler));
}
