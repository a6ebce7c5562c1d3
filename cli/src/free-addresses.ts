import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '@panal/protocol';
import type { Environment } from './local-cluster.js';

/** The variables that say where a cluster of this machine listens. */
const NAMES = ['PORT', 'ZMQ_BIND_ADDRESS', 'ZMQ_CONN_ADDRESS'] as const;
/** The dispatch channel, and after it the reply and bundle channels. */
const CHANNELS = 3;
const TRIES = 100;

/** Where a cluster listens instead of at the default ports. */
export interface Moved {
  /** The ports that other programs have. */
  taken: readonly number[];
  settings: Record<(typeof NAMES)[number], string>;
}

/**
 * Looks for free ports if the user chose none and other programs have the default ones.
 * @returns `undefined` if there is nothing to move: the ports are the user's choice, or they are free
 */
export async function freeAddresses(env: Environment, config: Config): Promise<Moved | undefined> {
  if (NAMES.some((name) => (env[name] ?? '') !== '')) return undefined;
  const { host, port: firstChannel } = zmqParts(config.ZMQ_BIND_ADDRESS);
  const port = await firstFree(config.HOST, config.PORT, 1);
  const channel = await firstFree(host, firstChannel, CHANNELS);
  if (port === undefined || channel === undefined) return undefined;
  const taken = [
    ...(port === config.PORT ? [] : [config.PORT]),
    ...(channel === firstChannel ? [] : [firstChannel]),
  ];
  if (taken.length === 0) return undefined;
  const address = `tcp://${host}:${channel}`;
  return {
    taken,
    settings: { PORT: String(port), ZMQ_BIND_ADDRESS: address, ZMQ_CONN_ADDRESS: address },
  };
}

/** The first of `count` free ports in a row, in steps of `count`; `undefined` if there are none nearby. */
async function firstFree(host: string, first: number, count: number): Promise<number | undefined> {
  for (let port = first; port < first + TRIES * count; port += count) {
    const wanted = Array.from({ length: count }, (_, offset) => port + offset);
    const free = await Promise.all(wanted.map((each) => isFree(host, each)));
    if (free.every(Boolean)) return port;
  }
  return undefined;
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer().listen({ host, port, exclusive: true });
  try {
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return true;
  } catch (error) {
    // Any other failure is for the broker to explain, with its settings.
    return !(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE');
  }
}

function zmqParts(address: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^tcp:\/\/(.+):(\d+)$/.exec(address) ?? [];
  return { host, port: Number(port) };
}
