import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { family } from './processor-time.js';

/** A server that Panal is measured beside: where it is called, and what ends it. */
export interface Yardstick {
  port: number;
  /** Its processes. */
  processes: () => Promise<number[]>;
  stop: () => Promise<void>;
}

/** A bare Koa server that answers every call with `status` and `body`. */
export async function startKoa(status: number, body: string): Promise<Yardstick> {
  const child = run('koa.mjs', String(status), body);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { port, processes: () => family(child.pid ?? 0), stop: () => leave(child) };
}

/** The way of a hot call and nothing else (`corridor-broker.mjs`), to a Python handler. */
export async function startCorridor(handler: string): Promise<Yardstick> {
  const folder = await mkdtemp(join(tmpdir(), 'panal-corridor-'));
  await writeFile(join(folder, 'handler.py'), handler);
  const broker = run('corridor-broker.mjs', join(folder, 'store'));
  const [ends] = (await once(broker, 'message')) as [{ dispatch: string; replies: string }];
  const worker = run('corridor-worker.mjs', ends.dispatch, ends.replies, folder);
  const [{ port }] = (await once(broker, 'message')) as [{ port: number }];
  const stop = async (): Promise<void> => {
    await Promise.all([worker, broker].map(leave));
    await rm(folder, { recursive: true });
  };
  const processes = async (): Promise<number[]> =>
    (await Promise.all([broker, worker].map(({ pid }) => family(pid ?? 0)))).flat();
  return { port, processes, stop };
}

function run(module: string, ...args: string[]): ChildProcess {
  return fork(new URL(`../yardsticks/${module}`, import.meta.url), args, { execArgv: [] });
}

/** Lets a process end by itself. */
async function leave(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}
