import { posix } from 'node:path';
import { isSystemFolder, runtimeOf, type FunctionSpec } from '@panal/protocol';
import { FunctionError } from '../errors.js';

/**
 * Brokers refuse such paths when a runtime is registered; one of an earlier version may have kept some.
 * @throws FunctionError START_FAILED where the code would lie in a folder of the system
 */
export function checkRuntimePath(spec: FunctionSpec): void {
  const path = runtimeOf(spec)?.path;
  if (path !== undefined && isSystemFolder(posix.resolve('/', path))) {
    throw new FunctionError('START_FAILED', `the runtime's path ${path} is a folder of the system`);
  }
}
