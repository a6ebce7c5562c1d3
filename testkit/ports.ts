import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { eventually } from './wait.js';

/** Below 32768, from where on the kernel gives outgoing connections their ports: one could take a port before it is bound. */
const FROM = 10_000;
const TO = 32_000;

/** The first of so many free ports in a row; three by default, which the channels of a broker need. */
export async function freePorts(count = 3): Promise<number> {
  return await eventually(`${count} free ports in a row`, async () => {
    const first = randomInt(FROM, TO);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const free = await Promise.all(ports.map(isFree));
    return free.every(Boolean) ? first : undefined;
  });
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
