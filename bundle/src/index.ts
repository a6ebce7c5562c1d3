export { inspect, type BundleInfo } from './inspect.js';
export { unpack } from './unpack.js';
export type { BundleLimits } from './limits.js';
