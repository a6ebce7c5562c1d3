import { jsonArgument, seconds as secondsOption, wholeNumber } from '../arguments.js';
import { EXIT_FAILED, EXIT_INTERRUPTED, misuse } from '../failure.js';
import { onInterrupt } from '../interrupt.js';
import { runLoad, type LoadResult } from '../load.js';
import { duration } from '../output.js';
import { Ticker } from '../progress.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';

interface BenchOptions {
  connections: number;
  number?: number;
  duration?: number;
}

const DEFAULT_SECONDS = 5;
const INTERRUPTED = 'interrupted';

export const addBenchVerb: AddVerbs = (program, act) => {
  program
    .command('bench')
    .description('call a function again and again, and measure it')
    .argument('<name>')
    .argument('[params]', 'JSON for each call, or - to read it from stdin')
    .option('-c, --connections <count>', 'calls under way at once', wholeNumber(1, 10_000), 8)
    .option('-n, --number <count>', 'end after so many calls', wholeNumber(1))
    .option('-d, --duration <seconds>', `end after so long; default: ${DEFAULT_SECONDS}`, secondsOption)
    .addHelpText('after', '\nExample:\n  $ panal bench hello \'{"name":"Ana"}\' -c 16 -d 10')
    .action(act(bench));
};

async function bench(
  session: Session,
  name: string,
  params: string | undefined,
  options: BenchOptions,
): Promise<number> {
  const { connections, number } = options;
  if (number !== undefined && options.duration !== undefined)
    throw misuse('give --number or --duration, not both');
  const text = await jsonArgument(params, session.shell.stdin);
  const body = text === undefined ? undefined : new TextEncoder().encode(text);
  return await session.withPatience(async (client) => {
    const call = (): Promise<unknown> => client.run(name, body);
    // One call first: what would fail a thousand times is said once, and a first start is not measured.
    await call();
    return await measure(session, call, options);
  }, connections);
}

async function measure(
  { output, shell }: Session,
  call: () => Promise<unknown>,
  { connections, number, duration: seconds = DEFAULT_SECONDS }: BenchOptions,
): Promise<number> {
  const end = new AbortController();
  const release = onInterrupt(
    () => end.abort(INTERRUPTED),
    () => process.exit(EXIT_INTERRUPTED),
  );
  const timer = setTimeout(() => end.abort(), number === undefined ? 1000 * seconds : 2 ** 31 - 1);
  let count = 0;
  const wanted = number === undefined ? `${seconds} s` : `${number} calls`;
  const ticker = output.live
    ? new Ticker(shell.stderr, (ms) => `${count} calls in ${duration(ms)}, until ${wanted}`)
    : undefined;
  try {
    const calls = number ?? Infinity;
    const result = await runLoad(call, { connections, calls, signal: end.signal, onCall: () => count++ });
    ticker?.end();
    output.show(result, () => report(result, output.fields.bind(output)));
    if (end.signal.reason === INTERRUPTED) return EXIT_INTERRUPTED;
    return result.errors === 0 ? 0 : EXIT_FAILED;
  } finally {
    ticker?.end();
    clearTimeout(timer);
    release();
  }
}

function report(result: LoadResult, fields: (fields: Record<string, string | undefined>) => string): string {
  return fields({
    calls: `${result.calls} in ${duration(result.ms)}, ${result.connections} at once`,
    'calls/s': result.callsPerSecond.toFixed(1),
    p50: duration(result.p50),
    p90: duration(result.p90),
    p99: duration(result.p99),
    slowest: duration(result.max),
    errors: String(result.errors),
    first: result.firstError,
  });
}
