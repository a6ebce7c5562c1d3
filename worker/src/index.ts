export type { RunningWorker } from './start-worker.js';
export { startWorker } from './start-worker.js';
