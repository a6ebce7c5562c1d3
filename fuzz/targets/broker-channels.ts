import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { hostileMessages } from '../messages.js';
import { Site } from '../site.js';
import type { Target } from '../target.js';
import { ZmqPeer } from '../zmq-peer.js';

interface ChannelOptions {
  name: string;
  weight: number;
  channel: 'dispatch' | 'bundle';
  /** Of its port, from that of the dispatch channel. */
  offset: number;
  /** A message that is answered with its number in it. */
  question: (number: number) => string;
  /** What a worker says that leaves. */
  farewell?: string;
}

const hello = { worker: 'marker', host: '', slots: 1, sandbox: 'process', path: 'direct', leases: [] };

/** What workers send to the broker over the dispatch channel, from somebody who may be none. */
export const dispatchChannel = brokerChannel({
  name: 'dispatch channel',
  weight: 12,
  channel: 'dispatch',
  offset: 0,
  // A worker of another version is told which version it is of.
  question: (protocol) => JSON.stringify([{ type: 'hello', protocol, ...hello }]),
  farewell: '[{"type":"bye"}]',
});

/** What workers send to the broker over the bundle channel. */
export const bundleChannel = brokerChannel({
  name: 'bundle channel',
  weight: 8,
  channel: 'bundle',
  offset: 2,
  question: (number) =>
    JSON.stringify([{ type: 'claim', name: `marker ${number}`, holder: 'marker', ms: 1 }]),
});

function brokerChannel({ name, weight, channel, offset, question, farewell }: ChannelOptions): Target {
  return {
    name,
    weight,
    async open({ folder, recording }) {
      const site = await Site.open({ folder: await mkdtemp(join(folder, 'site-')) });
      const connect = (): ZmqPeer => new ZmqPeer(`tcp://127.0.0.1:${site.zmqPort + offset}`);
      let peer = connect();
      const recorded = await recording();
      const { dispatch, reply, bundle } = recorded;
      return {
        // What belongs to another channel is not right here either.
        shots: hostileMessages([
          ...recorded[channel].toBroker,
          ...[dispatch, reply, bundle].flatMap((each) => each.toBroker.slice(0, 3)),
        ]),
        volley: 8,
        async feed(volley) {
          for (const frames of volley) await peer.say(frames);
          await peer.ask(question);
          site.checkSilence();
        },
        async canary() {
          if (farewell !== undefined) await peer.say([Buffer.from(farewell), Buffer.alloc(0)]);
          await peer.ask(question);
          await peer.close();
          peer = connect();
          await site.canary();
        },
        vitals: () => site.vitals(),
        async close() {
          await peer.close();
          await site.close();
        },
      };
    },
  };
}
