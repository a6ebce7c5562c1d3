/**
 * Replays a synthetic trace with the distributions of "Serverless in the Wild" (Shahrad et al., ATC 2020) against
 * preload policies, and prints cold starts and the memory that stood idle, beside a fixed 10-minute keep-alive.
 * Run: `node --import tsx -C @panal/source bench/preload-simulation.ts [seed]`.
 */
import { HistogramPolicy } from '../worker/src/pool/histogram-policy.js';
import { DemandPolicy, type Plan, type PreloadPolicy } from '../worker/src/pool/preload.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const DAYS = 7;
const FUNCTIONS = 1000;
/** Functions that are called more often are never cold, and would only make the trace long. */
const MOST_CALLS_A_DAY = 1440;

type Random = () => number;

/** mulberry32: small, seeded, good enough for a trace. */
function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

interface Call {
  at: number;
  runMs: number;
}

interface TracedFunction {
  memoryMb: number;
  calls: Call[];
}

/** Points of the paper's figure 5: which share of applications is called at most so often a day. */
const CALLS_A_DAY: readonly (readonly [share: number, calls: number])[] = [
  [0, 0.3],
  [0.2, 3],
  [0.45, 24],
  [0.81, 1440],
  [1, 100_000],
];

function callsADay(random: Random): number {
  const share = random();
  const next = CALLS_A_DAY.findIndex(([upTo]) => upTo >= share);
  const [low, from] = CALLS_A_DAY[next - 1] ?? [0, 0.3];
  const [high, to] = CALLS_A_DAY[next] ?? [1, 100_000];
  return from * (to / from) ** ((share - low) / (high - low || 1));
}

/** Gaps of mean 1. Figure 6: about a third by timers (CV 0), few as chance has it (CV 1), the rest in bursts. */
function gapsOf(random: Random): () => number {
  const kind = random();
  if (kind < 0.3) return () => 1;
  if (kind < 0.5) return () => -Math.log(1 - random());
  const sigma = Math.sqrt(Math.log(1 + (2 + 3 * random()) ** 2));
  return () => Math.exp(sigma * normal(random) - sigma ** 2 / 2);
}

function traceOf(random: Random): TracedFunction {
  // Figure 8: memory follows a Burr distribution; figure 7: average run time a log-normal one, in seconds.
  const [c, k, scale] = [11.652, 0.221, 107.083];
  const memoryMb = Math.min(1024, scale * ((1 - random()) ** (-1 / k) - 1) ** (1 / c));
  const runMs = Math.min(5 * MINUTE, 1000 * Math.exp(-0.38 + 2.36 * normal(random)));
  const mean = DAY / Math.min(MOST_CALLS_A_DAY, callsADay(random));
  const gap = gapsOf(random);
  const calls: Call[] = [];
  let free = 0;
  for (let at = mean * random(); at < DAYS * DAY; at += mean * gap()) {
    const begins = Math.max(at, free);
    if (begins >= DAYS * DAY) break;
    calls.push({ at: begins, runMs });
    free = begins + runMs;
  }
  return { memoryMb, calls };
}

interface Result {
  calls: number;
  cold: number;
  /** Share of a function's calls that were cold, one entry for each function. */
  coldShares: number[];
  idleMbMinutes: number;
}

/** One function, which has at most one sandbox: its calls do not overlap. */
function replay(policy: PreloadPolicy, id: string, { memoryMb, calls }: TracedFunction, into: Result): void {
  let plan: Plan = { ahead: 0, keep: false, until: Infinity };
  let stands = false;
  let since = 0;
  let cold = 0;
  const follow = (next: Plan, at: number): void => {
    if (stands && !next.keep) {
      into.idleMbMinutes += ((at - since) / MINUTE) * memoryMb;
      stands = false;
    } else if (!stands && next.ahead > 0) {
      [stands, since] = [true, at];
    }
    plan = next;
  };
  const passTo = (at: number): void => {
    while (plan.until <= at) follow(policy.lapsed(id, plan.until), plan.until);
  };
  for (const { at, runMs } of calls) {
    passTo(at);
    if (stands) into.idleMbMinutes += ((at - since) / MINUTE) * memoryMb;
    else cold++;
    plan = policy.callArrived(id, at);
    // The sandbox comes back at the end of the call, and stands idle from then on, if the plan keeps it.
    [stands, since] = [true, at + runMs];
    follow(policy.callEnded(id, at + runMs), at + runMs);
  }
  passTo(DAYS * DAY);
  if (stands) into.idleMbMinutes += (Math.max(0, DAYS * DAY - since) / MINUTE) * memoryMb;
  into.calls += calls.length;
  into.cold += cold;
  if (calls.length > 0) into.coldShares.push(cold / calls.length);
}

const seed = Number(process.argv[2] ?? 1);
const random = randomFrom(seed);
const trace = Array.from({ length: FUNCTIONS }, () => traceOf(random));

const policies: readonly (readonly [string, PreloadPolicy])[] = [
  ['fixed keep-alive, 10 min', new DemandPolicy(1)],
  ['fixed keep-alive, 1 h', new DemandPolicy(1, 60 * MINUTE)],
  ['idle-time histogram', new HistogramPolicy({ most: 1 })],
];

let base: Result | undefined;
process.stdout.write(`seed ${seed}: ${FUNCTIONS} functions, ${DAYS} days\n`);
for (const [name, policy] of policies) {
  const result: Result = { calls: 0, cold: 0, coldShares: [], idleMbMinutes: 0 };
  for (const [index, traced] of trace.entries()) replay(policy, String(index), traced, result);
  base ??= result;
  const shares = result.coldShares.sort((a, b) => a - b);
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
  const columns = [
    name.padEnd(26),
    `cold ${result.cold} of ${result.calls} (${percent(result.cold / result.calls)})`.padEnd(36),
    `of the 75th-percentile function's calls ${percent(shares[Math.floor(shares.length * 0.75)] ?? 0)}`.padEnd(
      50,
    ),
    `idle memory ${(result.idleMbMinutes / 1024 / 60).toFixed(0)} GB·h`.padEnd(26),
    `${(result.idleMbMinutes / base.idleMbMinutes).toFixed(2)}×`,
  ];
  process.stdout.write(`${columns.join('')}\n`);
}
