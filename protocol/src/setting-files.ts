import { readFileSync } from 'node:fs';
import { ConfigError } from './setting.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment with each `NAME_FILE` in the place of its setting: NAME is what the file at that path has, without
 * white space around it. So a secret that is mounted (of Docker, Swarm or Kubernetes) is in no environment.
 * @throws ConfigError where NAME is set as well, or the file cannot be read or is empty. Neither what is in it is said,
 * nor its path, in whose place a secret may have been given by mistake.
 */
export function withFiles(env: Environment, isSetting: (name: string) => boolean): Environment {
  const settingOf = (variable: string): string | undefined => {
    const name = /^(FAAS_.+)_FILE$/.exec(variable)?.[1];
    return name !== undefined && isSetting(name) ? name : undefined;
  };
  const variables = Object.entries(env);
  const values = Object.fromEntries(variables.filter(([variable]) => settingOf(variable) === undefined));
  for (const [variable, path] of variables) {
    const name = settingOf(variable);
    if (name === undefined || path === undefined || path === '') continue;
    if (values[name] !== undefined && values[name] !== '') {
      throw new ConfigError(`${name} and ${variable} must not both be set`);
    }
    values[name] = contentOf(path, variable);
  }
  return values;
}

function contentOf(path: string, variable: string): string {
  const content = read(path, variable).trim();
  // As a value it would mean that the setting is not set: no keys, and so no encryption.
  if (content === '') throw new ConfigError(`${variable} names a file that is empty`);
  return content;
}

function read(path: string, variable: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'it is none';
    throw new ConfigError(`${variable} names a file that cannot be read: ${why}`);
  }
}
