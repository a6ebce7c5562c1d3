export { KeyedLock } from './keyed-lock.js';
export * from './records.js';
export * from './store.js';
export * from './level-store.js';
export { summaryOf } from './function-index.js';
export type { CallRetention } from './call-retention.js';
export { damageIn } from './damage.js';
export type { CommitObserver } from './commit-observer.js';
export type { Copyable, Page, StoreCopy } from './store-copy.js';
