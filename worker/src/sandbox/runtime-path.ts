import { posix } from 'node:path';
import { isSystemFolder, type FunctionSpec } from '@panal/protocol';
import { FunctionError } from '../errors.js';

/**
 * Brokers refuse such paths when a runtime is registered; one of an earlier version may have kept some.
 * @throws FunctionError START_FAILED where the code would lie in a folder of the system
 */
export function checkRuntimePath(spec: FunctionSpec): void {
  if (spec.kind === 'runtime' && isSystemFolder(posix.resolve('/', spec.runtime.path))) {
    throw new FunctionError(
      'START_FAILED',
      `the runtime's path ${spec.runtime.path} is a folder of the system`,
    );
  }
}
