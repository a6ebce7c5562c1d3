import type { VersionRecord } from '@panal/db';
import { PanalError, type Config, type FunctionSettings, type SandboxSettings } from '@panal/protocol';

/** The most that an operator lets any function set. */
export type Ceilings = Pick<
  Config,
  'FAAS_MAX_MEMORY_MB' | 'FAAS_MAX_CPUS' | 'FAAS_MAX_PIDS' | 'FAAS_MAX_TIMEOUT_MS'
>;

/** The settings that have a ceiling, and its name. */
const CEILING_OF = {
  timeoutMs: 'FAAS_MAX_TIMEOUT_MS',
  memoryMb: 'FAAS_MAX_MEMORY_MB',
  cpus: 'FAAS_MAX_CPUS',
  pids: 'FAAS_MAX_PIDS',
} as const satisfies Partial<Record<keyof SandboxSettings, keyof Ceilings>>;

/** @throws PanalError INVALID_REQUEST, which names the first setting that is past its ceiling, and the ceiling. */
export function refusePastCeilings(settings: FunctionSettings, ceilings: Ceilings): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!isCapped(name) || typeof value !== 'number') continue;
    const ceiling = CEILING_OF[name];
    if (value <= ceilings[ceiling]) continue;
    const most = `at most ${ceilings[ceiling]} here (${ceiling})`;
    throw new PanalError('INVALID_REQUEST', `${name}: must be ${most}, not ${value}`);
  }
}

/** The settings, none of them past its ceiling; the same object if none was. */
export function cappedSettings(settings: SandboxSettings, ceilings: Ceilings): SandboxSettings {
  const capped = {
    ...settings,
    timeoutMs: Math.min(settings.timeoutMs, ceilings.FAAS_MAX_TIMEOUT_MS),
    memoryMb: Math.min(settings.memoryMb, ceilings.FAAS_MAX_MEMORY_MB),
    cpus: Math.min(settings.cpus, ceilings.FAAS_MAX_CPUS),
    pids: Math.min(settings.pids, ceilings.FAAS_MAX_PIDS),
  };
  return Object.keys(CEILING_OF).every((name) => !isCapped(name) || capped[name] === settings[name])
    ? settings
    : capped;
}

/** The version as it runs: one that was stored before a ceiling was lowered runs with the ceiling. */
export function cappedVersion(version: VersionRecord, ceilings: Ceilings): VersionRecord {
  const settings = cappedSettings(version.spec.settings, ceilings);
  if (settings === version.spec.settings) return version;
  return { ...version, spec: { ...version.spec, settings } };
}

function isCapped(name: string): name is keyof typeof CEILING_OF {
  return Object.hasOwn(CEILING_OF, name);
}
