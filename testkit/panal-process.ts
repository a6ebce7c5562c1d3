import { fileURLToPath } from 'node:url';
import { ManagedProcess, type ProcessOptions } from './managed-process.js';

export type Program = 'broker' | 'worker';

/** `source`: TypeScript, as tests run it; `compiled`: as in production. */
export type Build = 'source' | 'compiled';

export interface PanalProcessOptions extends Omit<ProcessOptions, 'argv'> {
  build: Build;
  /** What the command line begins with, such as `nsenter` for a host of its own. */
  prefix?: readonly string[];
  /** Options of Node.js. */
  execArgv?: readonly string[];
}

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The command that runs a program of Panal. */
export function commandOf(program: Program, build: Build, execArgv: readonly string[] = []): string[] {
  return build === 'compiled'
    ? [process.execPath, ...execArgv, at(`${program}/dist/main.js`)]
    : [
        process.execPath,
        ...execArgv,
        '--import=tsx',
        '--conditions=@panal/source',
        at(`${program}/src/main.ts`),
      ];
}

/** A broker or a worker, not started yet. */
export function panalProcess(
  program: Program,
  { build, prefix = [], execArgv, ...options }: PanalProcessOptions,
  name: string = program,
): ManagedProcess {
  return new ManagedProcess(name, {
    ...options,
    argv: [...prefix, ...commandOf(program, build, execArgv)],
  });
}
