import { acceptedSchema, askCall, callPath, resultOf, type Call } from '../api.js';
import { bytesOf, jsonArgument, seconds } from '../arguments.js';
import { failureOf, jsonBody, type Client } from '../client.js';
import { EXIT_FAILED, Failure, misuse } from '../failure.js';
import { followCall } from '../follow.js';
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
    const bytes = params === undefined ? Buffer.alloc(0) : await bytesOf(params, shell.stdin);
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
): Promise<Call> {
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
): Promise<Call> {
  try {
    return await followCall(client, callNum, {
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
  client: Client,
  name: string,
  params: string | undefined,
): Promise<{ callNum: number; status: string }> {
  const rest = params === undefined ? '' : `,"params":${params}`;
  const body = jsonBody(`{"funcName":${JSON.stringify(name)}${rest}}`);
  return await client.ask(acceptedSchema, 'POST', '/invokeFunction', body);
}

async function cancel(client: Client, callNum: number, output: Output): Promise<void> {
  try {
    await client.request('DELETE', callPath(callNum));
    if (!output.json) output.note(`panal: call ${callNum} cancelled`);
  } catch (error) {
    // It ended in the same moment.
    if (!(error instanceof Failure && error.code === 'CALL_SETTLED')) throw error;
  }
}

/** Puts out what a call gave back. @returns the exit code */
export function showCall(call: Call, output: Output): number {
  const done = call.status === 'DONE';
  if (output.json)
    output.showJson(
      () => call.json,
      () => '',
    );
  else output.result(resultOf(call));
  if (!done && !output.json) output.note(`panal: ${failureText(call)}`);
  return done ? 0 : EXIT_FAILED;
}

function failureText({ callNum, status, error }: Call): string {
  const why = error === undefined ? '' : `: ${error.code}: ${error.message}`;
  return `call ${callNum} ${status}${why}`;
}

/** Sends bytes as they are. The call is cancelled by the cluster when this goes away. */
async function runRaw(
  { client, output }: Session,
  name: string,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<number> {
  const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': body.byteLength };
  const answer = await client.answer('POST', `/run/${encodeURIComponent(name)}`, { headers, body, signal });
  const callNum = Number(answer.headers['x-call-num']);
  if (!Number.isInteger(callNum)) throw failureOf(client.url, answer);
  const call = await askCall(client, 'GET', callPath(callNum));
  if (!output.json) output.logs(call.logs ?? '');
  return showCall(call, output);
}
