import { runtimeOf } from '@panal/protocol';
import { FunctionError } from '../../errors.js';
import { NO_ENV, runtimeBody } from '../command/input.js';
import { handlerCommand } from '../command/run-command.js';
import type { ServerContract, Session, Target } from '../contract.js';
import { Channel } from '../protocol/channel.js';
import type { RunRequest, RunResult } from '../run.js';
import { lastWords } from './last-words.js';

class HandlerSession extends Channel implements Session {
  async call(request: RunRequest, { spec }: Target): Promise<RunResult> {
    return await this.run(request, spec);
  }
}

/** A runtime's handler loop, which speaks the runtime protocol. */
export const HANDLER: ServerContract = {
  name: 'handler',
  noun: 'the handler',
  lastWords,
  input: (_, kind, bytes) => ({ body: runtimeBody(kind, bytes), argument: undefined, env: NO_ENV }),
  // A handler that runs has proved itself.
  check: () => undefined,
  connect: (stream, options) => new HandlerSession(stream, options),
  server: ({ spec }) => {
    const handler = runtimeOf(spec)?.handler;
    if (handler === undefined) throw new FunctionError('START_FAILED', 'the function has no handler');
    return handlerCommand(handler);
  },
};
