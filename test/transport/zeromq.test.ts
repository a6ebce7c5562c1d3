import { curveKeyPair, ZmqBrokerTransport, ZmqWorkerTransport } from '@panal/transport/zeromq';
import { pino } from 'pino';
import { freePorts } from '../../testkit/ports.js';
import { describeTransport } from './conformance.js';

const log = pino({ level: 'silent' });

describeTransport('over ZeroMQ', async () => {
  const address = `tcp://127.0.0.1:${await freePorts()}`;
  return {
    broker: () => new ZmqBrokerTransport({ address, curve: undefined, log }),
    worker: () => new ZmqWorkerTransport({ address, keys: undefined, log }),
  };
});

// ZeroMQ asks one handler in a process whether a peer may connect (ZAP).
describeTransport(
  'over ZeroMQ with CURVE',
  async () => {
    const address = `tcp://127.0.0.1:${await freePorts()}`;
    const [server, client] = [curveKeyPair(), curveKeyPair()];
    const keys = {
      curveServerKey: server.publicKey,
      curvePublicKey: client.publicKey,
      curveSecretKey: client.secretKey,
    };
    return {
      broker: () =>
        new ZmqBrokerTransport({ address, curve: { ...server, clientKey: client.publicKey }, log }),
      worker: () => new ZmqWorkerTransport({ address, keys, log }),
    };
  },
  { brokersInProcess: 1 },
);
