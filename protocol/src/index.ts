/** Words of the API that messages and settings use, too. */
export {
  BadImageReference,
  BUNDLE_FORMATS,
  CALL_STATUSES,
  canonicalName,
  functionSettingsSchema,
  isImageOf,
  isSettled,
  isSystemFolder,
  LIFECYCLES,
  lifecycleSchema,
  MAX_ENV_BYTES,
  NAME_PATTERN,
  parseImageReference,
  type BundleFormat,
  type CallStatus,
  type FunctionSettings,
  type ImageReference,
  type Lifecycle,
} from '@panal/api';
export * from './capabilities.js';
export * from './config.js';
export * from './data-dir.js';
export * from './errors.js';
export * from './exposure.js';
export * from './function.js';
export * from './json-document.js';
export * from './start-refusal.js';
export * from './stop-request.js';
