import type { Config } from './config.js';

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?)$/;

type Addresses = Pick<Config, 'HOST' | 'ZMQ_BIND_ADDRESS'>;

const httpIsExposed = ({ HOST }: Addresses): boolean => !LOOPBACK.test(HOST);

const channelsAreExposed = ({ ZMQ_BIND_ADDRESS }: Addresses): boolean =>
  !LOOPBACK.test(ZMQ_BIND_ADDRESS.replace(/^tcp:\/\/|:\d+$/g, ''));

/** Whether anything but this machine can reach the broker over HTTP or ZeroMQ. */
export const isExposed = (addresses: Addresses): boolean =>
  httpIsExposed(addresses) || channelsAreExposed(addresses);

/**
 * What a broker with these settings leaves open to others than this machine, a sentence each, with the setting that
 * closes it. In a container that is the container: on which address its ports are published, the broker cannot see.
 */
export function openDoors(config: Config): string[] {
  const { HOST, ZMQ_BIND_ADDRESS, FAAS_AUTH, FAAS_CURVE_SERVER_SECRET } = config;
  const doors: string[] = [];
  if (FAAS_AUTH === 'open' && httpIsExposed(config)) {
    doors.push(
      `FAAS_AUTH=open with HOST=${HOST}: anyone who reaches the HTTP port can run code without credentials; ` +
        'set FAAS_AUTH=required, or HOST=127.0.0.1 (in a container: publish the port on 127.0.0.1)',
    );
  }
  if (FAAS_CURVE_SERVER_SECRET === undefined && channelsAreExposed(config)) {
    doors.push(
      `ZMQ_BIND_ADDRESS=${ZMQ_BIND_ADDRESS} without CURVE keys: anyone who reaches the channels can be a worker, and ` +
        'read code and parameters; set FAAS_CURVE_SERVER_SECRET and the other keys that `panal keys` makes, or ' +
        'ZMQ_BIND_ADDRESS=tcp://127.0.0.1:2000 (in a container: do not publish the channels)',
    );
  }
  return doors;
}
