/**
 * `npm run fuzz`: hostile input for everything that takes input from outside, as `--seed` determines.
 *
 * `--inputs N` (10,000), `--seed N` (any), `--only TARGET,TARGET`, `--replay FILE`: what a run that found a fault wrote.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { reportOf } from './report.js';
import { fuzz, replay } from './run.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    inputs: { type: 'string', default: '10000' },
    only: { type: 'string' },
    replay: { type: 'string' },
  },
});
const say = (line: string): void => console.log(`fuzz: ${line}`);

const kept = z.object({ target: z.string(), volleys: z.array(z.array(z.array(z.base64()))) });

if (values.replay === undefined) {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
  say(`seed ${seed}`);
  const only = values.only === undefined ? {} : { only: values.only.split(',') };
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const figures = await fuzz({ seed, inputs: Number(values.inputs), ...only, signal: stop.signal, say });
  console.log(`\nseed ${seed}, ${figures.seconds.toFixed(0)} s\n\n${reportOf(figures.targets)}`);
  process.exitCode = figures.targets.some(({ fault }) => fault !== undefined) ? 1 : 0;
} else {
  const { target, volleys } = kept.parse(JSON.parse(await readFile(values.replay, 'utf8')));
  const bytes = volleys.map((volley) =>
    volley.map((shot) => shot.map((each) => Buffer.from(each, 'base64'))),
  );
  const fault = await replay(target, bytes);
  say(fault ?? 'no fault any more');
  process.exitCode = fault === undefined ? 0 : 1;
}
// Sockets of ZeroMQ that were closed in haste keep nobody here.
process.exit();
