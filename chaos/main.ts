/**
 * `npm run chaos`: a cluster under load, and faults in an order that `--seed` determines.
 *
 * `--faults N` (20), `--seed N` (any), `--docker` (containers, in an engine of its own), `--only KIND,KIND`.
 */
import { parseArgs } from 'node:util';
import { reportOf } from './report.js';
import { chaos, isBroken } from './run.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    faults: { type: 'string', default: '20' },
    docker: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
console.log(`chaos: seed ${seed}`);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
const figures = await chaos({
  signal: stop.signal,
  seed,
  faults: Number(values.faults),
  driver: values.docker ? 'docker' : 'process',
  ownEngine: values.docker,
  ...(values.only !== undefined && { kinds: values.only.split(',') }),
  say: (line) => console.log(`chaos: ${line}`),
});
console.log(`\n${reportOf(figures)}`);
const { findings } = figures.audit;
for (const [what, lines] of Object.entries(findings))
  for (const line of lines) console.log(`${what}: ${line}`);
console.log('refusals and failures that clients met:', Object.fromEntries(figures.ledger.refusals));
process.exitCode = isBroken(findings) ? 1 : 0;
