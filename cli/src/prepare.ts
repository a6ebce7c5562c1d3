import { ApiError, type CallAnswer, type FunctionView } from '@panal/client';
import { waitForEnd } from './commands/invoke.js';
import { explain } from './explain.js';
import { Failure } from './failure.js';
import { duration } from './output.js';
import { Ticker } from './progress.js';
import type { Session } from './session.js';

/**
 * Prepares a function that was deployed: its image, its dependencies, a first sandbox. What they put out is on stderr
 * meanwhile. Where no worker can do that now, the function's first call does it.
 * @throws Failure if calls of it would fail likewise; the signal's reason
 */
export async function prepareFunction(
  session: Session,
  { functionName, version, versions }: FunctionView,
  signal: AbortSignal,
): Promise<void> {
  const { client, output, shell } = session;
  const named = `${functionName} version ${version}`;
  const callNum = await beginning(session, functionName, named);
  if (callNum === undefined) {
    if (!output.json) output.note(`panal: no worker can prepare ${named} now; its first call does it`);
    return;
  }
  const ticker = output.live
    ? new Ticker(shell.stderr, (ms) => `preparing ${named}: ${duration(ms)}`)
    : undefined;
  let call: CallAnswer;
  try {
    // What comes then shows the progress better.
    call = await waitForEnd({ client, output }, callNum, signal, () => ticker?.end());
  } catch (error) {
    if (signal.aborted && !output.json) output.note(`panal: ${named} is registered and active`);
    throw error;
  } finally {
    ticker?.end();
  }
  if (call.status !== 'DONE') throw failureOf(call, named, versions.length > 1);
}

/** The number of the call that prepares the function; `undefined` where no worker can. */
async function beginning({ client }: Session, name: string, named: string): Promise<number | undefined> {
  try {
    if ((await client.workers()).length === 0) return undefined;
    return (await client.functions.prepare(name)).callNum;
  } catch (error) {
    // The broker, or a worker, is of an earlier version.
    if (error instanceof ApiError && error.code === 'NOT_FOUND') return undefined;
    const failure = explain(error);
    if (failure === undefined) throw error;
    const { code, message, hint } = failure;
    throw new Failure(`${named} is registered and active, but cannot be prepared: ${message}`, {
      code,
      hint,
      cause: error,
    });
  }
}

function failureOf(
  { callNum, funcName, status, error }: CallAnswer,
  named: string,
  hasEarlier: boolean,
): Failure {
  const code = error?.code ?? status;
  const back = hasEarlier ? `go back with: panal rollback ${funcName}` : 'mend it and deploy again';
  return new Failure(`${named} is registered and active, but cannot run: ${error?.message ?? status}`, {
    code,
    hint: `${back}; all of its output: panal logs ${callNum}`,
  });
}
