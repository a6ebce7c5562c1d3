import { CALL_STATUSES, readJson } from '@panal/protocol';
import { Option } from 'commander';
import { askCall, askCalls, callPath, hasEnded, resultOf, type Call } from '../api.js';
import { wholeNumber } from '../arguments.js';
import type { Client } from '../client.js';
import { EXIT_FAILED } from '../failure.js';
import { followCall } from '../follow.js';
import { ago, duration, type Output } from '../output.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';
import { whileWaiting } from '../waiting.js';

/** Most calls that the cluster puts on a page. */
const PAGE = 1000;

interface ListOptions {
  limit: number;
  status?: string;
  function?: string;
}

export const addCallVerbs: AddVerbs = (program, act) => {
  const number = wholeNumber(1);
  program
    .command('calls')
    .description('list your calls, newest first')
    .option('-l, --limit <count>', 'most calls to list', wholeNumber(1), 20)
    .addOption(new Option('-s, --status <status>', 'only calls in this status').choices(CALL_STATUSES))
    .option('-f, --function <name>', 'only calls of this function')
    .addHelpText('after', '\nExample:\n  $ panal calls --status FAILED --function dice')
    .action(act(list));
  program
    .command('call')
    .description('show a call: its status, result and timings')
    .argument('<call>', 'its number', number)
    .addHelpText('after', '\nExample:\n  $ panal call 7')
    .action(act(show));
  program
    .command('logs')
    .description('show the logs of a call')
    .argument('<call>', 'its number', number)
    .option('-f, --follow', 'as they are written, until the call ends')
    .addHelpText('after', '\nExample:\n  $ panal logs 7 --follow')
    .action(act(logs));
  program
    .command('cancel')
    .description('cancel a call')
    .argument('<call>', 'its number', number)
    .addHelpText('after', '\nExample:\n  $ panal cancel 7')
    .action(act(cancel));
  program
    .command('retry')
    .description('put back a call that gave up (DEAD)')
    .argument('<call>', 'its number', number)
    .addHelpText('after', '\nExample:\n  $ panal calls --status DEAD\n  $ panal retry 7')
    .action(act(retry));
};

async function list({ client, output }: Session, options: ListOptions): Promise<undefined> {
  const calls = await listCalls(client, options);
  output.showJson(
    () => `[${calls.map(({ json }) => json).join(',')}]`,
    () =>
      output.table(
        ['>CALL', 'FUNCTION', '>VERSION', 'STATUS', 'START', '>TOOK', 'ACCEPTED'],
        calls.map((call) => [
          String(call.callNum),
          call.kind === undefined ? call.funcName : `${call.funcName} (${call.kind})`,
          String(call.version),
          call.status,
          call.start ?? '',
          call.timings === undefined ? '' : duration(call.timings.total),
          ago(call.acceptedAt),
        ]),
      ),
  );
}

async function listCalls(
  client: Client,
  { limit, status, function: funcName }: ListOptions,
): Promise<Call[]> {
  const query = new URLSearchParams({ limit: String(Math.min(limit, PAGE)) });
  if (status !== undefined) query.set('status', status);
  if (funcName !== undefined) query.set('funcName', funcName);
  const calls: Call[] = [];
  for (
    let path: string | undefined = `/calls?${query.toString()}`;
    path !== undefined && calls.length < limit;
  ) {
    const page = await askCalls(client, path);
    calls.push(...page.calls);
    path = page.next;
  }
  return calls.slice(0, limit);
}

async function show({ client, output }: Session, callNum: number): Promise<undefined> {
  const call = await askCall(client, 'GET', callPath(callNum));
  output.showJson(
    () => call.json,
    () => describe(call, output),
  );
}

function describe(call: Call, output: Output): string {
  const { timings } = call;
  const fields = output.fields({
    call: String(call.callNum),
    function: `${call.funcName}, version ${call.version}`,
    kind: call.kind,
    status: call.status,
    params: readJson(call.json).members.get('params'),
    exit: call.exitCode?.toString(),
    error: call.error && `${call.error.code}: ${call.error.message}`,
    attempts: String(call.attempts),
    start: call.start,
    worker: call.worker,
    accepted: call.acceptedAt,
    settled: call.settledAt,
    took:
      timings &&
      `${duration(timings.total)}: queued ${duration(timings.queued)}, prepare ${duration(timings.prepare)}, ` +
        `run ${duration(timings.run)}`,
  });
  const parts = [fields];
  if (call.result !== undefined) parts.push(section('result', resultOf(call).toString(), output));
  if (call.logs !== undefined && call.logs !== '') parts.push(section('logs', call.logs, output));
  return parts.join('\n\n');
}

const section = (title: string, text: string, output: Output): string =>
  `${output.paint('dim', title)}\n${text.replace(/\n$/, '')}`;

async function logs(
  { client, output }: Session,
  callNum: number,
  { follow = false }: { follow?: boolean },
): Promise<number> {
  if (!follow || output.json) {
    const { bytes } = await client.request('GET', callPath(callNum, '/logs'));
    if (!output.json) {
      output.bytes(bytes);
      return 0;
    }
    const { status } = await askCall(client, 'GET', callPath(callNum));
    output.show({ callNum, status, logs: bytes.toString() }, () => '');
    return 0;
  }
  const onLogs = (piece: string): void => output.bytes(Buffer.from(piece));
  const call = await whileWaiting((signal) => followCall(client, callNum, { onLogs, signal }));
  output.note(`call ${callNum} ${call.status}`);
  return 0;
}

async function cancel({ client, output }: Session, callNum: number): Promise<number> {
  const call = await askCall(client, 'DELETE', callPath(callNum));
  output.showJson(
    () => call.json,
    () =>
      hasEnded(call)
        ? `call ${callNum} ${call.status}`
        : `call ${callNum} is ${call.status} until its worker stops it`,
  );
  return call.status === 'DONE' ? EXIT_FAILED : 0;
}

async function retry({ client, output }: Session, callNum: number): Promise<undefined> {
  const call = await askCall(client, 'POST', callPath(callNum, '/retry'));
  output.showJson(
    () => call.json,
    () => `call ${callNum} is ${call.status} again`,
  );
}
