import type { Duplex } from 'node:stream';
import type { ContractName, FunctionSpec, InputKind } from '@panal/protocol';
import type { ChannelOptions } from './protocol/channel.js';
import type { RunRequest, RunResult } from './run.js';

/** What a call's process is given: see `RunRequest`. */
export interface Input {
  body: Uint8Array;
  argument: string | undefined;
  env: Readonly<Record<string, string>>;
}

/** What is to be run: a version, and what its image says. */
export interface Target {
  readonly spec: FunctionSpec;
  /** The image's entrypoint and command, if the version is an image. */
  readonly imageCommand?: readonly string[];
  /** Folder in which the processes of calls start; `undefined`: the one in which the sandbox's own process started. */
  readonly cwd?: string | undefined;
}

/** The conversation with the process in a sandbox: with the agent, or with a server. */
export interface Session {
  /** Called once, when the process is gone and no call was running. */
  onClose: (() => void) | undefined;
  /** Whether a call can be run now. */
  readonly idle: boolean;
  /** @throws Error if the process is not ready within `timeoutMs`, or goes away before; the reason of `signal` */
  ready(timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** @throws PlatformError SANDBOX_FAILED if the process was gone before */
  call(request: RunRequest, target: Target): Promise<RunResult>;
  /** Output of the sandbox beside the conversation: it belongs to the logs of the call that runs, if any. */
  addLogs(piece: Uint8Array): void;
  /** Ends the conversation. A call that runs ends as failed. May be called twice. */
  destroy(): void;
}

interface AnyContract {
  readonly name: ContractName;
  /** What the process of a call gets. */
  input(spec: FunctionSpec, kind: InputKind, bytes: Uint8Array): Input;
  /** A command that checks whether the version can be run; `undefined` if a started sandbox, or only a call, tells. */
  check(spec: FunctionSpec): string[] | undefined;
  /** Begins the conversation with the process at the other end of `stream`. */
  connect(stream: Duplex, options: ChannelOptions): Session;
}

/** What of a request says which command is started. */
export type CommandRequest = Pick<RunRequest, 'argument' | 'command'>;

/** Each call has a process of its own. Whatever starts processes in a sandbox can serve calls: the agent, or a driver. */
export interface CommandContract extends AnyContract {
  readonly server?: undefined;
  /** How the process of a call is started. @throws FunctionError START_FAILED if there is no command */
  command(target: Target, request: CommandRequest): string[];
  /** The same for a driver that cannot tell by itself why a command did not start: a shell says it. */
  shellCommand(target: Target, request: CommandRequest): string[];
  /** The result of `argv`; a failed start if a shell could not start the command. */
  explained(target: Target, argv: readonly string[], result: RunResult): RunResult;
}

/** One process stays and serves calls. */
export interface ServerContract extends AnyContract {
  /** The command of that process. @throws FunctionError START_FAILED if there is none */
  server(target: Target): string[];
  /** What messages call the process. */
  readonly noun: string;
  /** Why the process ended before it was ready, to be put behind what is known besides. */
  lastWords(written: Uint8Array): string;
}

/** How a call is spoken to the process in a sandbox. It does not depend on the driver or the lifecycle. */
export type Contract = CommandContract | ServerContract;
