import type { VersionRecord } from '@panal/db';
import type { BundleRef, FunctionSettings, FunctionSpec, RuntimeSpec } from '@panal/protocol';
import { v7 as uuid } from 'uuid';
import { completeSettings, type SettingDefaults } from './settings.js';

/** What a function runs: an image, or a bundle on a runtime; and the image that it is bound to, if that is known. */
export type FunctionCode = { imageDigest?: string | undefined } & (
  { image: string } | { runtime: RuntimeSpec; runtimeOwner: string; bundle: BundleRef }
);

/** What an owner decides of a version; its number and id are given out, its settings completed. */
export interface VersionSource {
  code: FunctionCode;
  settings: FunctionSettings;
}

/**
 * Makes a version. It is whole: it holds the runtime as it is now, so that replacing the runtime later changes only
 * versions registered after that.
 * @throws PanalError INVALID_REQUEST
 */
export function makeVersion(
  { owner, name, version }: Pick<FunctionSpec, 'owner' | 'name' | 'version'>,
  { code, settings }: VersionSource,
  defaults: SettingDefaults,
): VersionRecord {
  const createdAt = Date.now();
  const runtime = 'runtime' in code ? code.runtime : undefined;
  const { imageDigest } = code;
  const base = {
    ...{ id: uuid(), owner, name, version, settings: completeSettings(settings, runtime, defaults) },
    ...(imageDigest !== undefined && { imageDigest }),
  };
  if ('image' in code) return { spec: { ...base, kind: 'image', image: code.image }, settings, createdAt };
  const spec: FunctionSpec = { ...base, kind: 'runtime', runtime: code.runtime, bundle: code.bundle };
  return { spec, settings, runtimeOwner: code.runtimeOwner, createdAt };
}

/** What an owner decided of a version, from which the next one can be made. */
export function sourceOf({ spec, settings, runtimeOwner }: VersionRecord): VersionSource {
  const { imageDigest } = spec;
  if (spec.kind === 'image') return { code: { image: spec.image, imageDigest }, settings };
  if (runtimeOwner === undefined) throw new Error(`version ${spec.id} does not say whose its runtime is`);
  return { code: { runtime: spec.runtime, runtimeOwner, bundle: spec.bundle, imageDigest }, settings };
}
