export { diskUse } from './disk-use.js';
export { KeyedLock } from './keyed-lock.js';
export { runsSince, startOf } from './processes.js';
export { SingleFlight } from './single-flight.js';
export { syncFolder } from './sync-folder.js';
export { TokenBuckets, type TokenBucketsOptions } from './token-buckets.js';
export { copyTree, giveTree, isFolder, makeFolders, openTree, removeTree, shareTree } from './trees.js';
export { asError, unlessAborted, within } from './waiting.js';
