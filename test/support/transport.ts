import { ZmqWorkerTransport, type WorkerKeys } from '@panal/transport/zeromq';
import type { WorkerTransport } from '@panal/transport';
import { pino } from 'pino';

/** The way to a broker on this machine whose dispatch channel has this port. */
export function brokerAt(port: number, keys?: WorkerKeys): WorkerTransport {
  return new ZmqWorkerTransport({
    address: `tcp://127.0.0.1:${port}`,
    keys,
    log: pino({ level: 'silent' }),
  });
}
