import { runtimeOf } from '@panal/protocol';
import { FunctionError } from '../../errors.js';
import type { CommandContract, CommandRequest, Session, Target } from '../contract.js';
import { Channel } from '../protocol/channel.js';
import type { RunRequest, RunResult } from '../run.js';
import { commandInput } from './input.js';
import { checkedShellCommand, checkOf, runCommand, unlessRefused } from './run-command.js';

/** The agent at the other end, which starts a process for each call. */
class AgentSession extends Channel implements Session {
  async call(request: RunRequest, target: Target): Promise<RunResult> {
    const argv = COMMAND.command(target, request);
    const result = await this.run(request, target.spec, argv, target.cwd);
    return COMMAND.explained(target, argv, result);
  }
}

/** Arguments and stdin; stdout is the result, stderr the logs, and the exit code says whether it went well. */
export const COMMAND: CommandContract = {
  name: 'command',
  input: commandInput,
  check: (spec) => {
    const runtime = runtimeOf(spec);
    return runtime && checkOf(runtime.run);
  },
  connect: (stream, options) => new AgentSession(stream, options),
  command: (target, request) => commandOf(target, request, runCommand),
  shellCommand: (target, request) => commandOf(target, request, checkedShellCommand),
  explained: ({ spec }, argv, result) => {
    const runtime = runtimeOf(spec);
    return runtime === undefined ? result : unlessRefused(runtime.run, argv, result);
  },
};

/** The image's own command with the parameter as its last argument, or the runtime's. */
function commandOf(
  { spec, imageCommand = [] }: Target,
  { argument, command }: CommandRequest,
  ofRuntime: typeof runCommand,
): string[] {
  if (command !== undefined) return command;
  const runtime = runtimeOf(spec);
  if (runtime !== undefined) return ofRuntime(runtime.run, argument);
  if (imageCommand.length === 0) {
    throw new FunctionError('START_FAILED', 'the image has neither an entrypoint nor a command');
  }
  return argument === undefined ? [...imageCommand] : [...imageCommand, argument];
}
