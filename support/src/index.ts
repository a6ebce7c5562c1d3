export { KeyedLock } from './keyed-lock.js';
export { syncFolder } from './sync-folder.js';
