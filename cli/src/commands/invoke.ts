import {
  ApiError,
  JsonText,
  resultBytes,
  type AcceptedCall,
  type CallAnswer,
  type Panal,
} from '@panal/client';
import { bytesOf, jsonArgument, seconds } from '../arguments.js';
import { EXIT_FAILED, misuse } from '../failure.js';
import type { Output } from '../output.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';
import { whileWaiting } from '../waiting.js';

interface InvokeOptions {
  async?: boolean;
  raw?: boolean;
  timeout?: number;
}

export const addInvokeVerb: AddVerbs = (program, act) => {
  program
    .command('invoke')
    .description('call a function: its result on stdout, its logs on stderr')
    .argument('<name>')
    .argument('[params]', 'JSON, or - to read it from stdin')
    .option('--async', 'do not wait: put out the number of the call')
    .option('--raw', 'params are bytes as they are, not JSON')
    .option('--timeout <seconds>', 'cancel the call if it has not ended by then', seconds)
    .addHelpText(
      'after',
      `
Ends with 0 when the call is DONE, with 1 when it fails. Ctrl-C cancels it.

Example:
  $ panal invoke dice '{"roll":"4d6"}'
  $ echo '{"roll":"4d6"}' | panal invoke dice -`,
    )
    .action(act(invoke));
};

async function invoke(
  session: Session,
  name: string,
  params: string | undefined,
  options: InvokeOptions,
): Promise<number> {
  if (options.async === true && options.raw === true) throw misuse('--async takes JSON: leave out --raw');
  if (options.async === true && options.timeout !== undefined)
    throw misuse('--async does not wait: no --timeout');
  const { client, output, shell } = session;
  if (options.raw === true) {
    const bytes = new Uint8Array(params === undefined ? [] : await bytesOf(params, shell.stdin));
    return await whileWaiting((signal) => runRaw(session, name, bytes, signal), options.timeout);
  }
  const text = await jsonArgument(params, shell.stdin);
  if (options.async === true) {
    const accepted = await accept(client, name, text);
    output.show(accepted, () => String(accepted.callNum));
    return 0;
  }
  return await whileWaiting(
    async (signal) => showCall(await callAndWait(session, name, text, signal), output),
    options.timeout,
  );
}

/**
 * Calls a function and waits for its end, with its logs on stderr meanwhile.
 * @param params JSON text
 * @throws the signal's reason; the call is cancelled then
 */
export async function callAndWait(
  { client, output }: Session,
  name: string,
  params: string | undefined,
  signal: AbortSignal,
): Promise<CallAnswer> {
  // Not given up on interrupt: only its answer tells which call there is to cancel.
  const { callNum } = await accept(client, name, params);
  return await waitForEnd({ client, output }, callNum, signal);
}

/**
 * Waits for the end of a call, with its logs on stderr meanwhile.
 * @param onLogs is told before a piece of them is shown
 * @throws the signal's reason; the call is cancelled then
 */
export async function waitForEnd(
  { client, output }: Pick<Session, 'client' | 'output'>,
  callNum: number,
  signal: AbortSignal,
  onLogs: () => void = () => undefined,
): Promise<CallAnswer> {
  try {
    return await client.calls.wait(callNum, {
      onLogs: (piece) => {
        onLogs();
        if (!output.json) output.logs(piece);
      },
      signal,
    });
  } catch (error) {
    if (signal.aborted) await cancel(client, callNum, output);
    throw error;
  }
}

async function accept(
  client: Panal,
  name: string,
  params: string | undefined,
): Promise<AcceptedCall | CallAnswer> {
  return await client.calls.start(name, params === undefined ? undefined : new JsonText(params));
}

async function cancel(client: Panal, callNum: number, output: Output): Promise<void> {
  try {
    await client.calls.cancel(callNum);
    if (!output.json) output.note(`panal: call ${callNum} cancelled`);
  } catch (error) {
    // It ended in the same moment.
    if (!(error instanceof ApiError && error.code === 'CALL_SETTLED')) throw error;
  }
}

/** Puts out what a call gave back. @returns the exit code */
export function showCall(call: CallAnswer, output: Output): number {
  const done = call.status === 'DONE';
  if (output.json)
    output.showJson(
      () => call.json,
      () => '',
    );
  else output.result(resultBytes(call));
  if (!done && !output.json) output.note(`panal: ${failureText(call)}`);
  return done ? 0 : EXIT_FAILED;
}

function failureText({ callNum, status, error }: CallAnswer): string {
  const why = error === undefined ? '' : `: ${error.code}: ${error.message}`;
  return `call ${callNum} ${status}${why}`;
}

/** Sends bytes as they are. The cluster cancels the call if this process goes away. */
async function runRaw(
  session: Session,
  name: string,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<number> {
  const { client, output } = session;
  const callNum = await session.withPatience((patient) => callOfRun(patient, name, body, signal));
  const call = await client.calls.get(callNum);
  if (!output.json) output.logs(call.logs ?? '');
  return showCall(call, output);
}

/** Runs a function, and returns the number of its call, which may have failed. */
async function callOfRun(
  client: Panal,
  name: string,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<number> {
  try {
    return (await client.run(name, body, { signal })).callNum;
  } catch (error) {
    if (error instanceof ApiError && error.callNum !== undefined) return error.callNum;
    throw error;
  }
}
