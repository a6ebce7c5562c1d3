/** The port of a ZeroMQ address. */
export function portOf(address: string): number {
  return Number(/:(\d+)$/.exec(address)?.[1]);
}

/** The ZeroMQ address so many ports further; port 0, which takes a free one, stays 0. */
export function withPortOffset(address: string, offset: number): string {
  const port = portOf(address);
  return address.replace(/\d+$/, String(port === 0 ? 0 : port + offset));
}
