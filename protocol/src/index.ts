export * from './claims.js';
export * from './codec.js';
export * from './config.js';
export * from './errors.js';
export * from './foreign-hello.js';
export * from './function.js';
export * from './messages.js';
export * from './stop-request.js';
