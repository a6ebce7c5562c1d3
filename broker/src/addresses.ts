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
