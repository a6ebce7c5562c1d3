import { hasEnded, resultBytes, type CallAnswer, type CallStatus, type Panal } from '@panal/client';
import { CALL_STATUSES, readJson } from '@panal/protocol';
import { Option } from 'commander';
import { wholeNumber } from '../arguments.js';
import { EXIT_FAILED } from '../failure.js';
import { ago, duration, type Output } from '../output.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';
import { whileWaiting } from '../waiting.js';

/** Most calls that the cluster puts on a page. */
const PAGE = 1000;

interface ListOptions {
  limit: number;
  status?: CallStatus;
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
  client: Panal,
  { limit, status, function: funcName }: ListOptions,
): Promise<CallAnswer[]> {
  const filter = { ...(status !== undefined && { status }), ...(funcName !== undefined && { funcName }) };
  const calls: CallAnswer[] = [];
  let before: number | undefined;
  do {
    const query = { ...filter, limit: Math.min(limit, PAGE), ...(before !== undefined && { before }) };
    const page = await client.calls.page(query);
    const texts = readJson(page.json).members;
    calls.push(...page.calls.map((call) => ({ ...call, json: texts.get(`c${call.callNum}`) ?? '' })));
    before = page.next;
  } while (before !== undefined && calls.length < limit);
  return calls.slice(0, limit);
}

async function show({ client, output }: Session, callNum: number): Promise<undefined> {
  const call = await client.calls.get(callNum);
  output.showJson(
    () => call.json,
    () => describe(call, output),
  );
}

function describe(call: CallAnswer, output: Output): string {
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
  if (call.result !== undefined)
    parts.push(section('result', Buffer.from(resultBytes(call)).toString(), output));
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
    const text = await client.calls.logText(callNum);
    if (!output.json) {
      output.bytes(Buffer.from(text));
      return 0;
    }
    const { status } = await client.calls.get(callNum);
    output.show({ callNum, status, logs: text }, () => '');
    return 0;
  }
  const onLogs = (piece: string): void => output.bytes(Buffer.from(piece));
  const call = await whileWaiting((signal) => client.calls.wait(callNum, { onLogs, signal }));
  output.note(`call ${callNum} ${call.status}`);
  return 0;
}

async function cancel({ client, output }: Session, callNum: number): Promise<number> {
  const call = await client.calls.cancel(callNum);
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
  const call = await client.calls.retry(callNum);
  output.showJson(
    () => call.json,
    () => `call ${callNum} is ${call.status} again`,
  );
}
