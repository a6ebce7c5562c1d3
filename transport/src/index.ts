export * from './claims.js';
export * from './codec.js';
export * from './foreign-hello.js';
export * from './messages.js';
export * from './transport.js';
