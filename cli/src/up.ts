import type { Writable } from 'node:stream';
import { openDataDir, readConfig } from '@panal/protocol';
import { onInterrupt } from './interrupt.js';
import { LocalCluster, type ClusterModules, type Environment } from './local-cluster.js';
import { logView } from './log-view.js';
import { greeting, whenReady } from './welcome.js';

export interface UpOptions {
  env: Environment;
  output: Writable & { isTTY?: boolean };
  modules: ClusterModules;
}

/** The shell's exit code for a command that ended by SIGINT. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs a broker and `FAAS_WORKERS` workers until it is interrupted, shows their logs, and greets once they serve. A
 * second interrupt does not wait for running calls.
 * @returns the exit code: 0 when interrupted, that of a process that cannot run here, 130 when interrupted twice
 * @throws StartRefusal
 */
export async function up({ env, output, modules }: UpOptions): Promise<number> {
  const config = readConfig(env);
  await openDataDir(config.FAAS_DATA_DIR);
  const colours = output.isTTY === true && (env.NO_COLOR ?? '') === '';
  const print = (text: string): void => void output.write(`${text}\n`);
  const end = new AbortController();
  let exitCode = 0;

  const greet = async (url: string): Promise<void> => {
    try {
      print(greeting(url, await whenReady(url, end.signal), config));
    } catch (error) {
      if (!end.signal.aborted) print(`panal: ${String(error)}`);
    }
  };
  const cluster = new LocalCluster({
    config,
    env,
    modules,
    linesOf: (name, index) => {
      const view = logView(name, index, colours);
      return (line) => print(view(line));
    },
    onListening: (url) => void greet(url),
    onRefusal: (code) => {
      exitCode = code;
      end.abort();
    },
  });
  const release = onInterrupt(
    () => end.abort(),
    () => {
      cluster.kill();
      process.exit(EXIT_INTERRUPTED);
    },
  );
  // Nobody reads any more, as with `panal up | head`.
  output.on('error', () => end.abort());

  cluster.start();
  await aborted(end.signal);
  print('panal: stopping; running calls may end, a second Ctrl-C does not wait for them');
  await cluster.stop();
  release();
  return exitCode;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
