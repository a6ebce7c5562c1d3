export * from './codec.js';
export * from './config.js';
export * from './errors.js';
export * from './function.js';
export * from './messages.js';
export * from './stop-request.js';
