import type { Readable, Writable } from 'node:stream';
import type { Environment } from './local-cluster.js';

/** A stream that may be a terminal. */
export type Terminal<S> = S & { isTTY?: boolean };

/** What surrounds a command: where it reads from and writes to. */
export interface Shell {
  env: Environment;
  stdin: Terminal<Readable> & { setRawMode?: (raw: boolean) => void };
  stdout: Terminal<Writable>;
  stderr: Terminal<Writable>;
}
