export type {
  AcceptedCall,
  Call,
  CallStatus,
  ErrorCode,
  FunctionSettings,
  FunctionView,
  IssuedToken,
  Lifecycle,
  RuntimeRegistration,
  RuntimeView,
  UserView,
  VersionView,
  WorkerView,
} from '@panal/api';
export type { CallAnswer, StartOptions } from './accepting.js';
export { Calls, hasEnded, resultBytes, type CallPage, type CallQuery } from './calls.js';
export { ApiError, ConnectionError, UnexpectedAnswerError } from './errors.js';
export type { FollowOptions } from './follow.js';
export { Functions, type FunctionChange, type ImageFunction, type Upload } from './functions.js';
export { baseUrl, type Credentials, type Fetch, type RequestOptions } from './http.js';
export { JsonText } from './json-text.js';
export type { LogEvent } from './logs.js';
export { Panal, type InvokeOptions, type PanalOptions, type RunOptions, type RunResult } from './panal.js';
export { Runtimes } from './runtimes.js';
export { Users } from './users.js';
