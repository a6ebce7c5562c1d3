import type { Write } from './group-commit.js';
import { keyOf } from './keys.js';
import { encodeJson } from './record-codec.js';
import type { FunctionRecord, VersionRecord } from './records.js';

const NOTHING = Buffer.alloc(0);

/** What registering a function, or changing it, writes. */
export function writesOfFunction(record: FunctionRecord, version?: VersionRecord): Write[] {
  const { owner, name } = record;
  const writes: Write[] = [[keyOf('function', owner, name), encodeJson(record)]];
  if (version === undefined) return writes;
  writes.push([keyOf('version', owner, name, version.spec.version), encodeJson(version)]);
  for (const key of usesOf(owner, name, version)) writes.push([key, NOTHING]);
  return writes;
}

/** What removing a function with these versions writes. */
export function writesOfRemoval(owner: string, name: string, versions: readonly VersionRecord[]): Write[] {
  return [[keyOf('function', owner, name), undefined], ...versions.flatMap(writesOfVersionRemoval)];
}

/** What removing one version writes. */
export function writesOfVersionRemoval(version: VersionRecord): Write[] {
  const { owner, name, version: number } = version.spec;
  const keys = [keyOf('version', owner, name, number), ...usesOf(owner, name, version)];
  return keys.map((key) => [key, undefined]);
}

/** What keeping a version for its calls writes; with `gone`, what forgetting it writes. */
export function writesOfKept(version: VersionRecord, { gone = false } = {}): Write[] {
  const { spec } = version;
  const writes: Write[] = [[keyOf('kept-version', spec.id), gone ? undefined : encodeJson(version)]];
  // No user's name is empty, so the entry counts as nobody's.
  if (spec.kind === 'runtime') {
    writes.push([keyOf('uses-bundle', spec.bundle.sha256, '', spec.id), gone ? undefined : NOTHING]);
  }
  return writes;
}

/** The entries that say which runtime and which bundle a version uses. */
function usesOf(owner: string, name: string, { spec, runtimeOwner = owner }: VersionRecord): string[] {
  if (spec.kind !== 'runtime') return [];
  return [
    keyOf('uses-runtime', owner, runtimeOwner, spec.runtime.name, name, spec.version),
    keyOf('uses-bundle', spec.bundle.sha256, owner, name, spec.version),
  ];
}
