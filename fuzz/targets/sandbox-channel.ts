import { Duplex } from 'node:stream';
import fc, { type Arbitrary } from 'fast-check';
import { Channel } from '../../worker/src/contracts/protocol/channel.js';
import { frame, done } from '../../test/sandbox/channel-peer.js';
import { request } from '../../test/sandbox/requests.js';
import { runtimeSpec } from '../../test/support/specs.js';
import { changedBytes, garbage, oddValue } from '../mutations.js';
import { OwnVitals } from '../own-vitals.js';
import type { Shot, Target } from '../target.js';

const READY = 0x11;
const OUT = 0x12;
const ERR = 0x13;
const MAX_OUTPUT = 64 * 1024;
const MAX_LOGS = 1024;
/** What the marker says where logs are cut. */
const MARKER = 64;
const STATUSES = ['DONE', 'FAILED', 'TIMEOUT', 'CANCELLED'];

const hello = (kind: unknown, protocol: unknown = 1): Buffer =>
  frame(READY, JSON.stringify({ protocol, kind }));
const calls = [
  Buffer.concat([frame(OUT, 'a result'), frame(ERR, 'a log\n'), done(0)]),
  Buffer.concat([frame(ERR, 'Traceback'), done(1, 0, 'ValueError: no')]),
  done(0, 0, '\0' + '1.1'),
  done(137, 1),
  done(137, 2),
  done(127, 3, 'not found'),
  Buffer.concat([...Array<Buffer>(40).fill(frame(OUT, Buffer.alloc(8000, 120))), done(0)]),
  Buffer.concat([frame(OUT, 'x'), done(0), frame(OUT, 'late'), done(0)]),
];

const oddFrame: Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(fc.constantFrom(READY, OUT, ERR, 0x14, 1, 2, 0, 0xff), fc.uint8Array({ maxLength: 60 }))
    .map(([type, bytes]) => frame(type, bytes)),
  fc.tuple(oddValue, oddValue).map(([kind, protocol]) => hello(kind, protocol)),
  fc.tuple(fc.integer(), fc.nat(255), fc.string()).map(([code, reason, text]) => done(code, reason, text)),
  fc.constantFrom(
    frame(ERR, Buffer.alloc(100_000)),
    frame(OUT, Buffer.alloc(100_000)),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0, 0, 0, 0]),
  ),
);

/** What comes after READY; and whether it comes byte by byte. */
const shots: Arbitrary<Shot> = fc.tuple(
  fc.oneof(
    { weight: 4, arbitrary: changedBytes(calls) },
    { weight: 3, arbitrary: fc.array(oddFrame, { maxLength: 6 }).map((all) => Buffer.concat(all)) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(changedBytes(calls, 1), fc.array(oddFrame, { maxLength: 2 }))
        .map(([first, rest]) => Buffer.concat([first, ...rest])),
    },
    { weight: 1, arbitrary: garbage },
  ),
  fc.constantFrom('agent', 'handler', 'handler in pieces').map((text) => Buffer.from(text)),
);

/** What a process in a sandbox writes to its worker, from a function that took the process over. In this process. */
export const sandboxChannel: Target = {
  name: 'runtime protocol: worker',
  weight: 14,
  async open() {
    const vitals = new OwnVitals();
    return {
      shots,
      volley: 1,
      async feed([shot = []]) {
        const [bytes, how] = shot;
        await call(Buffer.from(bytes ?? []), Buffer.from(how ?? []).toString());
      },
      canary: () => call(Buffer.concat([frame(OUT, 'a result'), done(0)]), 'handler', 'DONE'),
      vitals: async () => vitals.take(),
      close: async () => vitals.close(),
    };
  },
};

/** A call whose process writes these bytes and goes away. @throws Error unless it ends, with an outcome in bounds */
async function call(bytes: Buffer, how: string, wanted?: string): Promise<void> {
  const [kind = '', pieces] = how.split(' ');
  const process = new Duplex({ read: () => undefined, write: (_chunk, _encoding, taken) => taken() });
  const channel = new Channel(process);
  process.push(hello(kind));
  await channel.ready(1000);
  const limits = { maxOutput: MAX_OUTPUT, maxLogs: MAX_LOGS, timeoutMs: 2000 };
  const running = channel.run(request(limits), runtimeSpec('f'), ['true']);
  if (pieces === undefined) process.push(bytes);
  else for (const byte of bytes.subarray(0, 2000)) process.push(Buffer.from([byte]));
  process.push(null);
  const { status, result, logs, error } = await running;
  channel.destroy();
  const shown = `${status} ${error?.code ?? ''} ${error?.message ?? ''}, ${result.byteLength} and ${logs.byteLength} bytes`;
  if (!STATUSES.includes(status) || (status !== 'DONE' && error === undefined))
    throw new Error(`it ended as ${shown}`);
  if (result.byteLength > MAX_OUTPUT || logs.byteLength > MAX_LOGS + MARKER)
    throw new Error(`too much: ${shown}`);
  if (wanted !== undefined && status !== wanted) throw new Error(`the canary ended as ${shown}`);
}
