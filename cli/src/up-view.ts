import { openDoors, type Config } from '@panal/protocol';
import type { Moved } from './free-addresses.js';
import type { ReadyCluster } from './local-cluster.js';
import { logEntry, logView } from './log-view.js';
import { greeting } from './welcome.js';

/** How `panal up` shows what it does. Each gives text without the newline at its end. */
export interface UpView {
  /** Shows the lines that a process puts out; `index` counts processes from 0. */
  linesOf: (name: string, index: number) => (line: string) => string;
  /** Something that the command itself has to say. */
  note: (text: string) => string;
  ready: (cluster: ReadyCluster, config: Config, moved: Moved | undefined) => string;
}

/** For people. */
export const textView = (colours: boolean): UpView => ({
  linesOf: (name, index) => logView(name, index, colours),
  note: (text) => `panal: ${text}`,
  ready: greeting,
});

/** For programs: each line is a JSON object, with the process that it is from in `process`. */
export const jsonView: UpView = {
  linesOf: (process) => (line) => JSON.stringify({ ...(logEntry(line) ?? { msg: line }), process }),
  note: (msg) => JSON.stringify({ process: 'panal', msg }),
  ready: (cluster, config, moved) =>
    JSON.stringify({
      process: 'panal',
      msg: 'ready',
      ...cluster,
      openDoors: openDoors(config),
      ...(moved !== undefined && { moved }),
    }),
};
