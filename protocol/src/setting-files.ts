import { readFileSync } from 'node:fs';
import { ConfigError } from './setting.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment with each `NAME_FILE` in the place of its setting: NAME is what the file at that path has, without
 * white space around it. So a secret that is mounted (of Docker, Swarm or Kubernetes) is in no environment.
 * @throws ConfigError where NAME is set as well, or the file cannot be read; what is in it is not said.
 */
export function withFiles(env: Environment, isSetting: (name: string) => boolean): Environment {
  const settingOf = (variable: string): string | undefined => {
    const name = /^(FAAS_.+)_FILE$/.exec(variable)?.[1];
    return name !== undefined && isSetting(name) ? name : undefined;
  };
  const variables = Object.entries(env);
  const read = Object.fromEntries(variables.filter(([variable]) => settingOf(variable) === undefined));
  for (const [variable, path] of variables) {
    const name = settingOf(variable);
    if (name === undefined || path === undefined || path === '') continue;
    if (read[name] !== undefined && read[name] !== '') {
      throw new ConfigError(`${name} and ${variable} must not both be set`);
    }
    read[name] = contentOf(path, variable);
  }
  return read;
}

function contentOf(path: string, variable: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new ConfigError(
      `${variable} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
