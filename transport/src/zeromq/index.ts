export { curveKeyPair } from 'zeromq';
export { BatchSender, type FrameSink } from './batch-sender.js';
export { ZmqBrokerTransport, type ZmqBrokerTransportOptions } from './broker-transport.js';
export { brokerKeys, workerKeys, type BrokerKeys, type WorkerKeys } from './curve.js';
export { RequestClient } from './request-client.js';
export { RequestServer } from './request-server.js';
export { zmqBrokerMessageSchema, type ZmqBrokerMessage, type ZmqWelcome } from './wire.js';
export { ZmqWorkerTransport, type ZmqWorkerTransportOptions } from './worker-transport.js';
