import { createServer, type AddressInfo } from 'node:net';
import { eventually } from './wait.js';

/** A port that is free, with the two after it. */
export async function freePorts(): Promise<number> {
  return await eventually('three free ports in a row', async () => {
    const first = await tryPort(0);
    if (first === undefined) return undefined;
    const next = await Promise.all([tryPort(first + 1), tryPort(first + 2)]);
    return next.includes(undefined) ? undefined : first;
  });
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.on('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const taken = (server.address() as AddressInfo).port;
      server.close(() => resolve(taken));
    });
  });
}
