import { jsonArgument, seconds, wholeNumber } from '../arguments.js';
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
    .option('-d, --duration <seconds>', `end after so long; default: ${DEFAULT_SECONDS}`, seconds)
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
  const { client, output, shell } = session;
  const body = await jsonArgument(params, shell.stdin);
  const path = `/run/${encodeURIComponent(name)}`;
  // One call first: what would fail a thousand times is said once, and a first start is not measured.
  await client.request('POST', path, body === undefined ? {} : { body });

  const end = new AbortController();
  const release = onInterrupt(
    () => end.abort(INTERRUPTED),
    () => process.exit(EXIT_INTERRUPTED),
  );
  const timer = setTimeout(
    () => end.abort(),
    number === undefined ? 1000 * (options.duration ?? DEFAULT_SECONDS) : 2 ** 31 - 1,
  );
  let count = 0;
  const wanted = number === undefined ? `${options.duration ?? DEFAULT_SECONDS} s` : `${number} calls`;
  const ticker = output.live
    ? new Ticker(shell.stderr, (ms) => `${count} calls in ${duration(ms)}, until ${wanted}`)
    : undefined;
  try {
    const target = { url: client.url, path, headers: client.headers, body };
    const calls = number ?? Infinity;
    const result = await runLoad(target, { connections, calls, signal: end.signal, onCall: () => count++ });
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
