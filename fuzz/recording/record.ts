import { eventually } from '../../testkit/wait.js';
import { Site } from '../site.js';
import { Relay } from './relay.js';
import { messagesIn } from './zmtp.js';

/** Another address of this machine, so that a relay can have the ports of the broker. */
const ELSEWHERE = '127.0.0.2';

/** What the two ends of a channel said, message by message, and how it looked on the wire. */
export interface ChannelRecording {
  toBroker: Buffer[][];
  toWorker: Buffer[][];
  wire: Buffer[];
}

/** What a broker and a worker of this version say to each other. */
export interface Recording {
  dispatch: ChannelRecording;
  reply: ChannelRecording;
  bundle: ChannelRecording;
}

/** Lets a broker and a worker serve calls of every kind, and writes down what they say. */
export async function record(folder: string): Promise<Recording> {
  const relays: Relay[] = [];
  const site = await Site.open({
    folder,
    workerConnects: ELSEWHERE,
    beforeWorker: async (zmqPort) => {
      for (const port of [zmqPort, zmqPort + 1, zmqPort + 2]) {
        relays.push(await Relay.open({ from: ELSEWHERE, to: '127.0.0.1', port }));
      }
    },
  });
  try {
    await serve(site);
  } finally {
    await site.stop();
    await Promise.all(relays.map((relay) => relay.close()));
  }
  const [dispatch, reply, bundle] = relays.map(recordingOf);
  if (dispatch === undefined || reply === undefined || bundle === undefined) throw new Error('unreachable');
  return { dispatch, reply, bundle };
}

/** Every lifecycle; calls that fail, are cancelled, are followed; a function that changes, and one that goes. */
async function serve(site: Site): Promise<void> {
  for (const lifecycle of ['hot', 'warm', 'fresh']) {
    await site.register(lifecycle, { lifecycle });
    for (const params of [{ roll: '4d6' }, null, 'é'.repeat(200)]) await invoke(site, lifecycle, params, 60);
  }
  await site.register('slow', { lifecycle: 'warm', env: '{"SLEEP":"1"}' });
  const callNum = await invoke(site, 'slow', {}, 0);
  const logs = new AbortController();
  await fetch(`${site.url}/call/${callNum}/logs?follow=1`, { signal: logs.signal });
  await eventually('the call runs', async () => (await statusOf(site, callNum)) !== 'PENDING');
  await fetch(`${site.url}/call/${callNum}`, { method: 'DELETE' });
  await eventually(
    'the call has ended',
    async () => !['PENDING', 'RUNNING'].includes(await statusOf(site, callNum)),
  );
  logs.abort();
  await site.register('hot', { lifecycle: 'hot', memoryMb: '200' });
  await invoke(site, 'hot', {}, 60);
  await fetch(`${site.url}/functions/warm`, { method: 'DELETE' });
  await invoke(site, 'fresh', {}, 60);
}

async function invoke(site: Site, funcName: string, params: unknown, wait: number): Promise<number> {
  const body = JSON.stringify({ funcName, params });
  const answer = await fetch(`${site.url}/invokeFunction?wait=${wait}`, { method: 'POST', body });
  return ((await answer.json()) as { callNum: number }).callNum;
}

async function statusOf(site: Site, callNum: number): Promise<string> {
  return ((await (await fetch(`${site.url}/call/${callNum}`)).json()) as { status: string }).status;
}

function recordingOf({ tapes }: Relay): ChannelRecording {
  const toBroker = tapes.map(({ fromClient }) => Buffer.concat(fromClient));
  const toWorker = tapes.map(({ fromServer }) => Buffer.concat(fromServer));
  return {
    toBroker: toBroker.flatMap(messagesIn),
    toWorker: toWorker.flatMap(messagesIn),
    wire: toBroker.filter((bytes) => bytes.byteLength > 0),
  };
}
