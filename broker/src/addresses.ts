import type { Config } from '@panal/protocol';

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?)$/;

const zmqHost = (address: string): string => address.replace(/^tcp:\/\//, '').replace(/:\d+$/, '');

/** Whether anything but this machine can reach the broker over HTTP or ZeroMQ. */
export function isExposed({ HOST, ZMQ_BIND_ADDRESS }: Config): boolean {
  return !LOOPBACK.test(HOST) || !LOOPBACK.test(zmqHost(ZMQ_BIND_ADDRESS));
}

/** The port of a ZeroMQ address. */
export function portOf(address: string): number {
  return Number(/:(\d+)$/.exec(address)?.[1]);
}

/** The ZeroMQ address so many ports further; port 0, which takes a free one, stays 0. */
export function withPortOffset(address: string, offset: number): string {
  const port = portOf(address);
  return address.replace(/\d+$/, String(port === 0 ? 0 : port + offset));
}

/** The URL of an HTTP server at `host` and `port`. */
export function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
