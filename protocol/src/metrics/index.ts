export * from './histogram.js';
export * from './metric-set.js';
export * from './process-metrics.js';
