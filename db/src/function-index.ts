import { bundleOf } from '@panal/protocol';
import type { Write } from './log/log.js';
import { keyOf } from './keys.js';
import { encodeJson } from './record-codec.js';
import type { FunctionRecord, RuntimeRecord, VersionRecord, VersionSummary } from './records.js';

const NOTHING = Buffer.alloc(0);

/** What registering a runtime writes. @param before the runtime that it replaces */
export function writesOfRuntime(runtime: RuntimeRecord, before: RuntimeRecord | undefined): Write[] {
  const gone = before === undefined ? [] : writesOfRuntimeRemoval(before);
  return [...gone, [keyOf('runtime', runtime.owner, runtime.name), encodeJson(runtime)], imageEntry(runtime)];
}

/** What removing a runtime writes. */
export function writesOfRuntimeRemoval(runtime: RuntimeRecord): Write[] {
  return [
    [keyOf('runtime', runtime.owner, runtime.name), undefined],
    [imageEntry(runtime)[0], undefined],
  ];
}

/** The entry that says that an owner has a runtime with this image. */
export function imageEntry({ owner, image, name }: RuntimeRecord): Write {
  return [keyOf('runtime-image', owner, image, name), NOTHING];
}

/** What registering a function, or changing it, writes. */
export function writesOfFunction(record: FunctionRecord, version?: VersionRecord): Write[] {
  const { owner, name } = record;
  const writes: Write[] = [[keyOf('function', owner, name), encodeJson(record)]];
  if (version === undefined) return writes;
  writes.push(...writesOfVersion(version));
  for (const key of usesOf(owner, name, summaryOf(version))) writes.push([key, NOTHING]);
  return writes;
}

/** A version, and its summary, at their keys. */
export function writesOfVersion(version: VersionRecord): Write[] {
  const { owner, name, version: number } = version.spec;
  return [[keyOf('version', owner, name, number), encodeJson(version)], summaryEntry(version)];
}

/** What removing a function with these versions writes. */
export function writesOfRemoval(owner: string, name: string, versions: readonly VersionSummary[]): Write[] {
  const removals = versions.flatMap((version) => writesOfVersionRemoval(owner, name, version));
  return [[keyOf('function', owner, name), undefined], ...removals];
}

/** What removing one version writes. */
export function writesOfVersionRemoval(owner: string, name: string, summary: VersionSummary): Write[] {
  const { version } = summary;
  const keys = [keyOf('version', owner, name, version), keyOf('version-summary', owner, name, version)];
  return [...keys, ...usesOf(owner, name, summary)].map((key) => [key, undefined]);
}

/** What keeping a version for its calls writes; with `gone`, what forgetting it writes. */
export function writesOfKept(version: VersionRecord, { gone = false } = {}): Write[] {
  const { spec } = version;
  const writes: Write[] = [[keyOf('kept-version', spec.id), gone ? undefined : encodeJson(version)]];
  // No user's name is empty, so the entry counts as nobody's.
  const bundle = bundleOf(spec);
  if (bundle !== undefined) {
    writes.push([keyOf('uses-bundle', bundle.sha256, '', spec.id), gone ? undefined : NOTHING]);
  }
  return writes;
}

/** The summary of a version, at its key. */
export function summaryEntry(version: VersionRecord): Write {
  const { owner, name, version: number } = version.spec;
  return [keyOf('version-summary', owner, name, number), encodeJson(summaryOf(version))];
}

export function summaryOf({ spec, runtimeOwner = spec.owner, createdAt }: VersionRecord): VersionSummary {
  const { id, version, imageDigest } = spec;
  const base = { id, version, createdAt, ...(imageDigest !== undefined && { imageDigest }) };
  if (spec.kind === 'image') return { ...base, image: spec.image };
  const { runtime, bundle } = spec;
  return { ...base, code: { runtimeName: runtime.name, runtimeOwner, bundle } };
}

/** The entries that say which runtime and which bundle a version uses. */
function usesOf(owner: string, name: string, { version, code }: VersionSummary): string[] {
  if (code === undefined) return [];
  const { runtimeOwner, runtimeName, bundle } = code;
  return [
    keyOf('uses-runtime', owner, runtimeOwner, runtimeName, name, version),
    keyOf('uses-bundle', bundle.sha256, owner, name, version),
  ];
}
