import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { record, type Recording } from './recording/record.js';
import { Prober, type Fault } from './prober.js';
import type { TargetFigures } from './report.js';
import type { Shot, Target } from './target.js';
import { TARGETS } from './targets/targets.js';

export interface FuzzOptions {
  seed: number;
  /** How many inputs in all. */
  inputs: number;
  /** Names of targets; all by default. */
  only?: readonly string[];
  /** No target goes on for longer than this, in ms. */
  budgetMs?: number;
  /** Ends the run before its time; everything is tidied up. */
  signal?: AbortSignal;
  say: (line: string) => void;
}

export interface FuzzFigures {
  seed: number;
  seconds: number;
  targets: TargetFigures[];
}

/** One run: each target after the other, with its share of the inputs. */
export async function fuzz(options: FuzzOptions): Promise<FuzzFigures> {
  const begun = performance.now();
  const chosen = chooseTargets(options);
  const total = chosen.reduce((sum, { weight }) => sum + weight, 0);
  const folder = await mkdtemp(join(tmpdir(), 'panal-fuzz-'));
  const recording = onceRecorded(folder);
  try {
    const targets: TargetFigures[] = [];
    for (const target of chosen) {
      const share = Math.ceil((options.inputs * target.weight) / total);
      const place = join(folder, nameOf(target.name));
      await mkdir(place);
      const prober = new Prober(target, { folder: place, recording });
      const figures = await prober.probe({ ...options, inputs: share });
      targets.push(figures);
      options.say(summaryOf(figures));
      if (figures.fault !== undefined) options.say(await keep(target.name, options.seed, figures.fault));
    }
    return { seed: options.seed, seconds: (performance.now() - begun) / 1000, targets };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Throws again what was kept of a fault; resolves with what it shows, if it shows any. */
export async function replay(
  name: string,
  volleys: readonly (readonly Shot[])[],
): Promise<string | undefined> {
  const target = TARGETS.find((each) => each.name === name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  const folder = await mkdtemp(join(tmpdir(), 'panal-fuzz-'));
  try {
    await new Prober(target, { folder, recording: onceRecorded(folder) }).replay(volleys);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lets a cluster be recorded in this folder when it is first asked for, and not again. */
export function onceRecorded(folder: string): () => Promise<Recording> {
  let recording: Promise<Recording> | undefined;
  return () => (recording ??= record(join(folder, 'recording')));
}

function chooseTargets({ only, say }: FuzzOptions): Target[] {
  const unknown = only?.filter((name) => TARGETS.every((target) => target.name !== name)) ?? [];
  if (unknown.length > 0) throw new Error(`there is no target ${unknown.join(', ')}`);
  const wanted = TARGETS.filter(({ name }) => only?.includes(name) ?? true);
  return wanted.filter((target) => {
    const missing = target.missing?.();
    if (missing !== undefined) say(`left out: ${target.name}, as ${missing}`);
    return missing === undefined;
  });
}

const summaryOf = ({
  name,
  inputs,
  seconds,
  longestDelayMs,
  rssMiB: [before, after],
}: TargetFigures): string =>
  `${name}: ${inputs} inputs in ${seconds.toFixed(1)} s, ${before.toFixed(0)} MiB, then ${after.toFixed(0)} MiB, ` +
  `event loop late by at most ${longestDelayMs.toFixed(0)} ms`;

/** Writes down what `--replay` takes, and says what was found. */
export async function keep(target: string, seed: number, { what, volleys }: Fault): Promise<string> {
  const file = join(tmpdir(), `panal-fuzz-${nameOf(target)}-${seed}.json`);
  const texts = volleys.map((volley) =>
    volley.map((shot) => shot.map((each) => Buffer.from(each).toString('base64'))),
  );
  await writeFile(file, JSON.stringify({ target, seed, volleys: texts }));
  return `FAULT of ${target}, seed ${seed}: ${what}\n  again: npm run fuzz -- --replay ${file}`;
}

/** Of a file or folder. */
const nameOf = (target: string): string => target.replaceAll(/[^A-Za-z]+/g, '-');
