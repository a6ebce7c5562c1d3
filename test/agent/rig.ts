import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RunResult } from '../../worker/src/contracts/run.js';
import { agentPath } from '../../worker/src/sandbox/agent.js';
import { Channel } from '../../worker/src/contracts/protocol/channel.js';
import { listenIn } from '../../worker/src/contracts/protocol/listener.js';
import { request } from '../sandbox/requests.js';
import { runtimeSpec } from '../support/specs.js';

/** Builds the agent from its sources, and says where it is. */
export function builtAgent(): string {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../runtimes/agent/build.mjs', import.meta.url))]);
  const path = agentPath();
  if (path === undefined) throw new Error('the agent was not built');
  return path;
}

const { PATH } = process.env;

/** How the agent is started: as a plain process, or as PID 1 of a namespace of its own. */
export const AS_PROCESS: readonly string[] = [];
export const AS_INIT: readonly string[] = [
  ...['bwrap', '--bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--unshare-pid', '--as-pid-1', '--'],
];

/** A running agent, and a channel to it. */
export class AgentRig {
  readonly process: ChildProcess;
  readonly channel: Channel;
  readonly #exited: Promise<unknown>;

  private constructor(process: ChildProcess, channel: Channel, exited: Promise<unknown>) {
    this.process = process;
    this.channel = channel;
    this.#exited = exited;
  }

  /** Starts the program `agent`, with its socket in `folder`. */
  static async start(agent: string, folder: string, prefix: readonly string[]): Promise<AgentRig> {
    const listener = await listenIn(folder);
    const [program = agent, ...args] = prefix.concat(agent);
    const process = spawn(program, args, {
      env: { PATH, FAAS_SOCKET: listener.path, OF_THE_AGENT: 'inherited' },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const exited = once(process, 'exit');
    const channel = new Channel(await listener.connection);
    await channel.ready(5000);
    return new AgentRig(process, channel, exited);
  }

  /** Runs `script` by a shell. */
  async run(script: string, options: Parameters<typeof request>[0] = {}): Promise<RunResult> {
    return await this.exec(['/bin/sh', '-c', script], options);
  }

  async exec(argv: string[], options: Parameters<typeof request>[0] = {}, cwd?: string): Promise<RunResult> {
    return await this.channel.run(request(options), runtimeSpec('f'), argv, cwd);
  }

  /** Waits until the agent is gone. */
  async exited(): Promise<void> {
    await this.#exited;
  }

  async stop(): Promise<void> {
    this.channel.destroy();
    await this.#exited;
  }
}
