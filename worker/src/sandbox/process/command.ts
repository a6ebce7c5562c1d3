import type { RunRequest } from '../sandbox.js';
import type { RuntimeFunction } from './function-folder.js';

/** The command of one call: the runtime's `run` by a shell, with the parameter as its last argument. */
export function callCommand({ runtime }: RuntimeFunction, { argument }: RunRequest): string[] {
  const command = ['/bin/sh', '-c', `${runtime.run} "$@"`, 'sh'];
  return argument === undefined ? command : [...command, argument];
}
