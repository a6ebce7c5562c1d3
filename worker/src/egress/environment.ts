import { ConfigError } from '@panal/protocol';
import { FunctionError } from '../errors.js';
import { BadProxy, upstreamOf, type Upstream } from './connect.js';
import { RELAY_PORT } from './relay.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables by which programs and package managers are told of a proxy. */
const PROXY = /^((https?|all|ftp|no)_proxy|pip_proxy|npm_config_((https?_)?proxy|noproxy))$/i;
/** Those that may name the proxy that leads on, the best first. */
const UPSTREAM = ['https_proxy', 'http_proxy', 'all_proxy', 'npm_config_https_proxy', 'pip_proxy'];

/** How code gets out of its sandbox: through the relay to Panal's proxy, by an interface of its own, or not at all. */
export type Reach = 'registries' | 'bridge' | 'none';

/**
 * `environment` with the proxy that leads out of a sandbox.
 * @param proxy the operator's; with the relay it is behind Panal's own
 */
export function reaching(
  environment: Readonly<Record<string, string>>,
  reach: Reach,
  proxy: string | undefined,
): Record<string, string> {
  if (reach === 'none') return withoutProxy(environment);
  if (reach === 'registries') return withProxy(environment, `http://127.0.0.1:${RELAY_PORT}`);
  return proxy === undefined ? { ...environment } : withProxy(environment, proxy);
}

/** `environment` without any proxy. */
function withoutProxy(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !PROXY.test(name)));
}

/** `environment` with every program led to the proxy at `url`, and to no other. */
function withProxy(environment: Readonly<Record<string, string>>, url: string): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'];
  return {
    ...withoutProxy(environment),
    ...Object.fromEntries(names.map((name) => [name, url])),
    no_proxy: 'localhost,127.0.0.1,::1',
  };
}

/**
 * The proxy through which connections go on: the operator's, of the settings or of the worker's environment; else the
 * one that the function's own environment names, which has to be one that may be reached.
 * @throws FunctionError if the function's environment names what is no proxy
 */
export function upstreamFrom(
  setting: string | undefined,
  worker: Environment,
  own: Environment,
): Upstream | undefined {
  const operators = operatorsProxy(setting, worker);
  if (operators !== undefined) return operators;
  return proxyIn(own, true, (name, why) => {
    return new FunctionError('DEPENDENCIES_FAILED', `the variable ${name} in env of the function ${why}`);
  });
}

/** The operator's proxy. @throws ConfigError if it cannot be used */
export function operatorsProxy(setting: string | undefined, worker: Environment): Upstream | undefined {
  const environment = setting === undefined ? worker : { http_proxy: setting };
  return proxyIn(environment, false, (name, why) => {
    const variable = setting === undefined ? `${name}, in the environment of the worker,` : 'FAAS_DEPS_PROXY';
    return new ConfigError(`${variable} ${why}; FAAS_DEPS_PROXY names the proxy for \`dependencies\``);
  });
}

function proxyIn(
  environment: Environment,
  checked: boolean,
  refusal: (name: string, why: string) => Error,
): Upstream | undefined {
  const set = Object.entries(environment).filter(([, value]) => value !== undefined && value !== '');
  const found = new Map(set.map(([name, value]) => [name.toLowerCase(), { name, value: value ?? '' }]));
  const best = UPSTREAM.map((name) => found.get(name)).find((each) => each !== undefined);
  if (best === undefined) return undefined;
  try {
    return upstreamOf(best.value, checked);
  } catch (error) {
    if (error instanceof BadProxy) throw refusal(best.name, error.message);
    throw error;
  }
}
