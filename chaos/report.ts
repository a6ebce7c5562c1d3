import type { Audit } from './audit.js';
import type { Ledger } from './ledger.js';

/** What was seen of one kind of fault. */
export interface KindFigures {
  made: number;
  /** Bodies that ran although a body of the same request had run before. */
  extraRuns: number;
  /** Longest time without a result, in ms. */
  longestGap: number;
}

export interface Figures {
  seed: number;
  driver: string;
  seconds: number;
  kinds: ReadonlyMap<string, KindFigures>;
  audit: Audit;
  ledger: Ledger;
}

/** The figures as Markdown. */
export function reportOf({ seed, driver, seconds, kinds, audit, ledger }: Figures): string {
  const { findings, calls, putBack, killed, tookByPower } = audit;
  const oldest = Math.round(Math.max(0, ...tookByPower.values()));
  const total = [...kinds.values()].reduce((sum, { made }) => sum + made, 0);
  const told = ledger.entries.filter(({ callNum }) => callNum !== undefined).length;
  const rows = [...kinds]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(
      ([kind, { made, extraRuns, longestGap }]) =>
        `| ${kind} | ${made} | ${extraRuns} | ${(longestGap / 1000).toFixed(1)} s |`,
    );
  return [
    `seed ${seed}, ${driver} sandboxes, ${Math.round(seconds)} s`,
    '',
    '| what | how many |',
    '|---|---|',
    `| requests | ${ledger.entries.length} |`,
    `| calls | ${calls} |`,
    `| calls that a client was told of | ${told} |`,
    `| faults | ${total} |`,
    `| calls lost | ${findings.lost.length} |`,
    `| answers of the last moment before a power cut, taken by it | ${tookByPower.size}, the oldest ${oldest} ms old |`,
    `| calls settled twice | ${findings.settledTwice.length} |`,
    `| calls made twice of one key | ${findings.doubled.length} |`,
    `| contradictions of another kind | ${findings.other.length} |`,
    `| calls that gave up, and were put back | ${putBack} |`,
    `| calls whose process was killed as a fault | ${killed.size} |`,
    '',
    '| fault | made | bodies run again | longest gap in service |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}
