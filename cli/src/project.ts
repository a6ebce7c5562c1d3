import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { functionSettingsSchema, NAME_PATTERN, type FunctionSettings } from '@panal/protocol';
import { z } from 'zod';
import { Failure, messageOf, misuse } from './failure.js';
import { PROJECT_FILE } from './ignore.js';
import { instead } from './nearest.js';

const projectSchema = z.strictObject({
  name: z.string().optional(),
  runtime: z.string().optional(),
  settings: functionSettingsSchema.optional(),
});

/** How a folder is deployed, as its `panal.json` says it. */
export type Project = z.infer<typeof projectSchema>;

/** @throws Failure for a `panal.json` that is ill-formed, naming the field; one that is missing says nothing. */
export async function readProject(folder: string): Promise<Project> {
  const path = join(folder, PROJECT_FILE);
  try {
    return projectSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR'].includes(String(error.code)))
      return {};
    throw new Failure(`${path}: ${error instanceof z.ZodError ? issues(error) : messageOf(error)}`, {
      cause: error,
    });
  }
}

/** @throws Failure for what is no name of a function */
export function checkName(name: string): string {
  if (!NAME_PATTERN.test(name)) {
    throw misuse(
      `${JSON.stringify(name)} is no name of a function`,
      'use letters, digits, dots, dashes and _',
    );
  }
  return name;
}

/** Settings whose value is text as it is; of all others it is JSON. */
const TEXT_SETTINGS: readonly string[] = ['lifecycle', 'network'];

/**
 * Settings with changes of the form `key=value`, such as `timeoutMs=5000`, `env.MODE=fast` or `retry.attempts=3`.
 * @throws Failure for one that is ill-formed
 */
export function changeSettings(settings: FunctionSettings, changes: readonly string[]): FunctionSettings {
  const changed: Record<string, unknown> = { ...settings };
  for (const change of changes) {
    const [, key = '', value = ''] = /^([A-Za-z_][\w.]*)=(.*)$/s.exec(change) ?? [];
    if (key === '') throw misuse(`--set ${change} is not of the form key=value`);
    const [outer = '', inner] = key.split(/\.(.*)/s);
    if (!Object.hasOwn(functionSettingsSchema.shape, outer)) throw misuse(`--set: ${unknownSetting(outer)}`);
    if (inner === undefined) changed[outer] = TEXT_SETTINGS.includes(outer) ? value : jsonOrText(value);
    else changed[outer] = { ...fields(changed[outer]), [inner]: outer === 'env' ? value : jsonOrText(value) };
  }
  const parsed = functionSettingsSchema.safeParse(changed);
  if (!parsed.success) throw misuse(`--set: ${issues(parsed.error)}`);
  return parsed.data;
}

const fields = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function unknownSetting(name: string): string {
  return `there is no setting ${name}; ${instead(name, Object.keys(functionSettingsSchema.shape))}`;
}

const issues = ({ issues: all }: z.ZodError): string =>
  all
    .map((issue) => {
      const { path, message } = issue;
      if (issue.code !== 'unrecognized_keys') return [...path, message].join(': ');
      const explain = path.at(-1) === 'settings' ? unknownSetting : unknownField;
      return [...path, ...issue.keys.map(explain)].join(': ');
    })
    .join('; ');

function unknownField(name: string): string {
  const isSetting = Object.hasOwn(functionSettingsSchema.shape, name);
  const hint = isSetting ? 'it belongs into settings' : instead(name, Object.keys(projectSchema.shape));
  return `there is no field ${name}; ${hint}`;
}
