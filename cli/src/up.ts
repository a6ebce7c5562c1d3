import type { Writable } from 'node:stream';
import { openDataDir, readConfig } from '@panal/protocol';
import { freeAddresses } from './free-addresses.js';
import { onInterrupt } from './interrupt.js';
import { LocalCluster, type ClusterModules, type Environment } from './local-cluster.js';
import { jsonView, textView } from './up-view.js';

export interface UpOptions {
  env: Environment;
  output: Writable & { isTTY?: boolean };
  modules: ClusterModules;
  /** Whether a program reads: every line is JSON then. */
  json?: boolean;
}

/** The shell's exit code for a command that ended by SIGINT. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs a broker and `FAAS_WORKERS` workers until it is interrupted, shows their logs, and greets once they serve. A
 * second interrupt does not wait for running calls.
 * @returns the exit code: 0 when interrupted, that of a process that cannot run here, 130 when interrupted twice
 * @throws StartRefusal
 */
export async function up({ env, output, modules, json = false }: UpOptions): Promise<number> {
  const config = readConfig(env);
  await openDataDir(config.FAAS_DATA_DIR);
  const view = json ? jsonView : textView(output.isTTY === true && (env.NO_COLOR ?? '') === '');
  const print = (text: string): void => void output.write(`${text}\n`);
  const end = new AbortController();
  let refusal: { exitCode: number } | undefined;

  const moved = await freeAddresses(env, config);
  const cluster = new LocalCluster({
    config,
    env: { ...env, ...moved?.settings },
    modules,
    linesOf: (name, index) => {
      const show = view.linesOf(name, index);
      return (line) => print(show(line));
    },
    onReady: (ready) => print(view.ready(ready, config, moved)),
    onRefusal: (exitCode) => {
      refusal ??= { exitCode };
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
  // The process that cannot run has said why, and that is all there is to say.
  if (refusal === undefined)
    print(view.note('stopping; running calls may end, a second Ctrl-C does not wait for them'));
  await cluster.stop();
  release();
  return refusal?.exitCode ?? 0;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
