import type { Fault } from './prober.js';

/** What was seen of one target. */
export interface TargetFigures {
  name: string;
  inputs: number;
  seconds: number;
  /** Resident memory of who got the inputs, in the first and in the last quarter. */
  rssMiB: [before: number, after: number];
  longestDelayMs: number;
  fault: Fault | undefined;
}

/** The figures as Markdown. */
export function reportOf(targets: readonly TargetFigures[]): string {
  const rows = targets.map(({ name, inputs, seconds, rssMiB: [before, after], longestDelayMs, fault }) =>
    [
      name,
      inputs.toLocaleString('en'),
      `${seconds.toFixed(0)} s`,
      `${before.toFixed(0)} MiB, ${after.toFixed(0)} MiB`,
      longestDelayMs === 0 ? '' : `${longestDelayMs.toFixed(0)} ms`,
      fault === undefined ? '0' : '1',
    ].join(' | '),
  );
  const all = targets.reduce((sum, { inputs }) => sum + inputs, 0);
  return [
    '| thrown at | inputs | took | memory: first, last quarter | event loop late at most | faults |',
    '|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
    `| all | ${all.toLocaleString('en')} | | | | ${targets.filter(({ fault }) => fault !== undefined).length} |`,
  ].join('\n');
}
