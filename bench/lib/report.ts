import { spreadOf, type Spread } from './stats.js';

/** A figure beside its yardstick, both measured in the same run. */
export interface Figure {
  name: string;
  unit: string;
  value: Spread;
  yardstick?: { name: string; unit: string; value: Spread };
  /** Value over yardstick, round by round (or the other way round, as `name` says). */
  ratio?: Spread;
}

export function figure(name: string, unit: string, values: readonly number[]): Figure {
  return { name, unit, value: spreadOf(values) };
}

/** Pairs the rounds of a figure with those of its yardstick. */
export function compare(
  name: string,
  unit: string,
  values: readonly number[],
  yardstick: { name: string; values: readonly number[]; unit?: string },
  ratio: (value: number, yard: number) => number = (value, yard) => value / yard,
): Figure {
  const ratios = values.map((value, round) => ratio(value, yardstick.values[round] ?? NaN));
  return {
    name,
    unit,
    value: spreadOf(values),
    yardstick: { name: yardstick.name, unit: yardstick.unit ?? unit, value: spreadOf(yardstick.values) },
    ratio: spreadOf(ratios),
  };
}

const number = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));

const spread = ({ min, median, max }: Spread): string =>
  min === max ? number(median) : `${number(median)} (${number(min)} to ${number(max)})`;

/** The figures as a Markdown table: median (least to most) over the rounds. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, unit, value, yardstick, ratio }) => [
    name,
    `${spread(value)} ${unit}`,
    yardstick === undefined ? '' : `${yardstick.name}: ${spread(yardstick.value)} ${yardstick.unit}`,
    ratio === undefined ? '' : spread(ratio),
  ]);
  const lines = [['figure', 'measured', 'yardstick', 'ratio'], ['---', '---', '---', '---'], ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
