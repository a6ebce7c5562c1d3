import type { Config, FunctionSettings, RuntimeSpec, SandboxSettings } from '@panal/protocol';
import { LIFECYCLE_TRAITS, PanalError } from '@panal/protocol';
import { cappedSettings, refusePastCeilings, type Ceilings } from './ceilings.js';

/** The broker's settings from which a function's own are completed, and which these may not exceed. */
export type SettingDefaults = Ceilings &
  Pick<Config, 'FAAS_TIMEOUT_MS' | 'FAAS_MEMORY_MB' | 'FAAS_CPUS' | 'FAAS_PIDS'>;

/**
 * Fills in what the owner left open. The lifecycle is `warm` by default on a runtime, `fresh` for an image.
 * @param runtime the function's runtime; none for an image function.
 * A default past its ceiling counts as the ceiling.
 * @throws PanalError INVALID_REQUEST if nothing would serve calls the way `lifecycle` asks for, or a setting is past its
 * ceiling.
 */
export function completeSettings(
  settings: FunctionSettings,
  runtime: RuntimeSpec | undefined,
  defaults: SettingDefaults,
): SandboxSettings {
  const lifecycle = settings.lifecycle ?? (runtime === undefined ? 'fresh' : 'warm');
  if (LIFECYCLE_TRAITS[lifecycle].contract === 'handler' && runtime?.handler === undefined) {
    const what = runtime === undefined ? 'an image function has' : `the runtime ${runtime.name} has`;
    throw new PanalError('INVALID_REQUEST', `lifecycle: "${lifecycle}" needs a handler, and ${what} none`);
  }
  refusePastCeilings(settings, defaults);
  const complete: SandboxSettings = {
    lifecycle,
    timeoutMs: settings.timeoutMs ?? defaults.FAAS_TIMEOUT_MS,
    memoryMb: settings.memoryMb ?? defaults.FAAS_MEMORY_MB,
    cpus: settings.cpus ?? defaults.FAAS_CPUS,
    pids: settings.pids ?? defaults.FAAS_PIDS,
    network: settings.network ?? 'none',
    env: settings.env ?? {},
  };
  return cappedSettings(complete, defaults);
}
