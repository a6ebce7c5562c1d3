import { mkdtemp } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc, { type Arbitrary } from 'fast-check';
import { changedBytes, garbage } from '../mutations.js';
import { Site } from '../site.js';
import type { Recording } from '../recording/record.js';
import type { Shot, Target } from '../target.js';

const PATIENCE_MS = 15;

/** The beginnings of ZMTP 1, 2 and 3, and what comes to a port that is meant for another protocol. */
const BEGINNINGS = [
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]),
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1]),
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]),
  Buffer.from([1, 0]),
  Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
];

function shotsOf({ dispatch, reply, bundle }: Recording): Arbitrary<Shot> {
  const wires = [dispatch, reply, bundle].flatMap(({ wire: bytes }) =>
    bytes.map((each) => each.subarray(0, 4096)),
  );
  // The port, before the bytes.
  const port = fc.constantFrom(0, 1, 2).map((offset) => Buffer.from([offset]));
  const bytes = fc.oneof(
    { weight: 6, arbitrary: changedBytes(wires) },
    { weight: 3, arbitrary: changedBytes(wires.map((each) => each.subarray(0, 120))) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom(...BEGINNINGS), garbage)
        .map(([head, rest]) => Buffer.concat([head, rest])),
    },
    { weight: 1, arbitrary: garbage },
  );
  return fc.tuple(port, bytes);
}

/** Bytes on the three ports of the broker that are no ZeroMQ, or nearly. */
export const wire: Target = {
  name: 'ZeroMQ ports',
  weight: 8,
  async open(surroundings) {
    const site = await Site.open({ folder: await mkdtemp(join(surroundings.folder, 'site-')) });
    return {
      shots: shotsOf(await surroundings.recording()),
      volley: 8,
      async feed(volley) {
        await Promise.all(
          volley.map(async ([offset, bytes]) => await send(site.zmqPort + (offset?.[0] ?? 0), bytes)),
        );
        site.checkSilence();
      },
      canary: () => site.canary(),
      vitals: () => site.vitals(),
      close: () => site.close(),
    };
  },
};

/** Writes this, hears what there is to hear, and leaves. */
async function send(port: number, bytes: Uint8Array = Buffer.alloc(0)): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  await new Promise<void>((resolve) => {
    const patience = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on('data', () => patience.refresh());
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(patience);
      resolve();
    });
    socket.write(bytes);
  });
}
