export { KeyedLock } from './keyed-lock.js';
export { SingleFlight } from './single-flight.js';
export { syncFolder } from './sync-folder.js';
export { TokenBuckets, type TokenBucketsOptions } from './token-buckets.js';
export { copyTree, giveTree, isFolder, openTree, removeTree } from './trees.js';
export { asError, unlessAborted, within } from './waiting.js';
