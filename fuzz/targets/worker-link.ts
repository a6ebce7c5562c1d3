import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arbitrary } from 'fast-check';
import { decode, MalformedMessage, PROTOCOL_VERSION } from '@panal/transport';
import { zmqBrokerMessageSchema } from '@panal/transport/zeromq';
import { hostileMessages } from '../messages.js';
import { HostileBroker } from '../hostile-broker.js';
import type { Recording } from '../recording/record.js';
import type { Shot, Target } from '../target.js';

/** What a broker sends to a worker over dispatch and bundle channel, from somebody who is none. */
export const workerLink: Target = {
  name: "worker's channels",
  weight: 8,
  async open(surroundings) {
    const broker = await HostileBroker.open(await mkdtemp(join(surroundings.folder, 'worker-')));
    return {
      shots: shotsOf(await surroundings.recording()),
      volley: 8,
      async feed(volley) {
        for (const shot of volley) await broker.say(shot);
        await broker.ask();
        broker.checkSilence();
      },
      canary: () => broker.canary(),
      vitals: () => broker.vitals(),
      close: () => broker.close(),
    };
  },
};

/** But what makes a worker end, as it should: that it is refused, and that the broker is of another version. */
function shotsOf({ dispatch, bundle }: Recording): Arbitrary<Shot> {
  return hostileMessages([...dispatch.toWorker, ...bundle.toWorker]).filter((frames) => !endsWorker(frames));
}

function endsWorker(frames: Shot): boolean {
  try {
    const batch = decode(
      frames.map((frame) => Buffer.from(frame)),
      zmqBrokerMessageSchema,
    );
    return batch.some(
      ({ message }) =>
        message.type === 'refuse' || (message.type === 'welcome' && message.protocol !== PROTOCOL_VERSION),
    );
  } catch (error) {
    if (error instanceof MalformedMessage) return false;
    throw error;
  }
}
