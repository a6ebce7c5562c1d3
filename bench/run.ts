/**
 * `npm run bench`: every figure beside its yardstick, measured in this run on this machine; a table on stdout, and
 * `bench/results.json`. `npm run bench -- --quick` takes short rounds and a small store, to see that it works;
 * `npm run bench -- hot accept` measures only those.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { acceptFigures } from './figures/accept.js';
import { containerFigures } from './figures/containers.js';
import { durabilityFigures } from './figures/durability.js';
import { fullStoreFigures } from './figures/full-store.js';
import { hotFigures } from './figures/hot.js';
import { warmFigures } from './figures/warm.js';
import { figure, table, type Figure } from './lib/report.js';
import { measureScheduler } from './scheduler.js';
import { waitingFigures } from './waiting-clients.js';

const RESULTS = new URL('results.json', import.meta.url);

interface Extent {
  rounds: number;
  roundMs: number;
  store: { functions: number; calls: number };
}

const FULL: Extent = { rounds: 5, roundMs: 2000, store: { functions: 100_000, calls: 1_000_000 } };
const QUICK: Extent = { rounds: 2, roundMs: 500, store: { functions: 1000, calls: 10_000 } };

const GROUPS: Record<string, (extent: Extent) => Promise<Figure[]>> = {
  hot: ({ rounds, roundMs }) => hotFigures(rounds, roundMs),
  accept: ({ rounds, roundMs }) => acceptFigures(rounds, roundMs),
  durability: ({ rounds, roundMs }) => durabilityFigures(rounds, roundMs),
  warm: ({ rounds, roundMs }) => warmFigures(rounds, roundMs),
  containers: ({ rounds, roundMs }) => containerFigures(2 * rounds, roundMs),
  scheduler: () =>
    Promise.resolve([figure('one decision, 1,000 workers × 16 mini-workers', 'µs', measureScheduler())]),
  clients: ({ rounds }) => waitingFigures(rounds),
  store: ({ rounds, roundMs, store }) => fullStoreFigures(rounds, roundMs, store),
};

const args = process.argv.slice(2);
const extent = args.includes('--quick') ? QUICK : FULL;
const wanted = args.filter((arg) => arg !== '--quick');
const unknown = wanted.filter((name) => !(name in GROUPS));
if (unknown.length > 0) {
  console.error(`bench: no such group: ${unknown.join(', ')}; there are ${Object.keys(GROUPS).join(', ')}`);
  process.exit(2);
}

const figures: Figure[] = [];
for (const [name, measure] of Object.entries(GROUPS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.error(`bench: ${name}`);
  figures.push(...(await measure(extent)));
}
console.log(table(figures));
const machine = {
  processor: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
};
await writeFile(RESULTS, `${JSON.stringify({ machine, figures }, null, 2)}\n`);
