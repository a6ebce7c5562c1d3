export * from './addresses.js';
export * from './batch-sender.js';
export * from './curve.js';
export * from './zmq-link.js';
