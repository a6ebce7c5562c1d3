import { randomBytes } from 'node:crypto';
import fc, { type Arbitrary } from 'fast-check';
import { callFrames, frame, LoopProcess, READY, type Language } from '../../test/runtimes/loop-process.js';
import { changedBytes, garbage } from '../mutations.js';
import type { Shot, Target } from '../target.js';
import { vitalsOf } from '../vitals.js';

const HANDLERS = {
  Python: 'def handler(params, context):\n    return params\n',
  'Node.js': 'export default (params) => params;\n',
} as const;
/** A loop has so many ms to answer, or to end. */
const ANSWER_MS = 5000;
const CALL = 1;
const INPUT = 2;
const END_INPUT = 3;
const OUT = 0x12;

const samples = [
  callFrames('{"roll":"4d6"}', { deadline: 9_999_999_999_999, attempt: 1 }),
  callFrames('{"roll":"4d6"}', { call: '1.1' }),
  callFrames(''),
  callFrames(Buffer.from([0xff, 0xfe, 0])),
  callFrames('[1,2,NaN]'),
  Buffer.concat([callFrames('"a"'), callFrames('"b"')]),
];

/** Frames whose lengths are right: the loop is in step after them. */
const oddFrames: Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      fc
        .tuple(
          fc.constantFrom(CALL, INPUT, END_INPUT, 4, 0, 6, 0x11, 0x14, 0xff),
          fc.uint8Array({ maxLength: 60 }),
        )
        .map(([type, bytes]) => frame(type, Buffer.from(bytes))),
      fc
        .array(
          fc.constantFrom(
            'callNum=x',
            'callNum=',
            'callNum=1e999',
            'version=-1',
            'deadline=',
            '=',
            '',
            'a',
            '__proto__=1',
            'attempt=\ud800',
            'functionName=é',
          ),
          { maxLength: 5 },
        )
        .map((fields) => frame(CALL, fields.join('\0'))),
      fc
        .constantFrom('['.repeat(100_000), '{"__proto__":{}}', '1e999', '"\\ud800"', '-', '\uFEFF1')
        .map((body) => callFrames(body)),
      fc.constantFrom(...samples),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((all) => Buffer.concat(all));

const shots: Arbitrary<Shot> = fc
  .oneof(
    { weight: 8, arbitrary: oddFrames },
    { weight: 1, arbitrary: changedBytes(samples) },
    { weight: 1, arbitrary: garbage },
  )
  .map((bytes) => [bytes]);

/** What a worker writes to a handler loop, from somebody who is none. */
export const handlerLoops: readonly Target[] = (['Python', 'Node.js'] as const).map((language) => ({
  name: `runtime protocol: ${language}`,
  weight: 3,
  async open() {
    let loop = await start(language);
    return {
      shots,
      volley: 1,
      async feed([[bytes = Buffer.alloc(0)] = []]) {
        await loop.send(Buffer.from(bytes));
        if (isInStep(Buffer.from(bytes)) && (await answers(loop))) return;
        loop.hangUp();
        const code = await within(loop.exitCode);
        if (code !== 0 && code !== 1) throw new Error(`the loop ended with ${code}: ${await loop.stderr}`);
        await loop.stop();
        loop = await start(language);
      },
      async canary() {
        if (!(await answers(loop))) throw new Error(`the loop has ended: ${await loop.stderr}`);
      },
      vitals: async () => ({ ...(await vitalsOf(loop.pid)), delayMs: 0 }),
      close: () => loop.stop(),
    };
  },
}));

async function start(language: Language): Promise<LoopProcess> {
  const loop = await LoopProcess.start(language, 'unix socket', HANDLERS[language]);
  const ready = await within(loop.next());
  if (ready?.type !== READY) throw new Error('the loop did not start');
  return loop;
}

/** Whether a call of its own comes back; `false` where the loop was told to end, and did. */
async function answers(loop: LoopProcess): Promise<boolean> {
  const token = JSON.stringify({ token: randomBytes(8).toString('hex') });
  await loop.send(callFrames(token));
  for (;;) {
    const next = await within(loop.next());
    if (next?.type === OUT && next.payload.toString() === token) break;
    if (next !== undefined) continue;
    const code = await loop.exitCode;
    if (code === 0) return false;
    throw new Error(`the loop ended with ${code}: ${await loop.stderr}`);
  }
  await within(loop.next());
  return true;
}

/** Whether these are frames and nothing else. */
function isInStep(bytes: Buffer): boolean {
  let at = 0;
  while (at + 4 <= bytes.byteLength) {
    const length = bytes.readUInt32BE(at);
    if (length < 1) return false;
    at += 4 + length;
  }
  return at === bytes.byteLength;
}

async function within<T>(result: Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`the loop was silent for ${ANSWER_MS} ms`)), ANSWER_MS);
  });
  try {
    return await Promise.race([result, tooLate]);
  } finally {
    clearTimeout(late);
  }
}
