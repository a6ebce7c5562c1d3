export { KeyedLock } from './keyed-lock.js';
export * from './records.js';
export * from './store.js';
export * from './level-store.js';
