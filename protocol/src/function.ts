import { BUNDLE_FORMATS, lifecycleSchema, type Lifecycle } from '@panal/api';
import { z } from 'zod';

/** The owner of everything that was made without credentials. */
export const PUBLIC_OWNER = 'public';

/** The owner of the bundled runtimes; no user can have this name, for it is not a legal one. */
export const SYSTEM_OWNER = '*';

/** How a call is spoken to the process in its sandbox. */
export const CONTRACTS = ['command', 'handler'] as const;
export type ContractName = (typeof CONTRACTS)[number];

interface LifecycleTraits {
  /** Whether a sandbox serves further calls of its function. */
  readonly reuses: boolean;
  readonly contract: ContractName;
}

export const LIFECYCLE_TRAITS: Readonly<Record<Lifecycle, LifecycleTraits>> = {
  fresh: { reuses: false, contract: 'command' },
  warm: { reuses: true, contract: 'command' },
  hot: { reuses: true, contract: 'handler' },
};

/** Settings with every default filled in: what a worker is told. */
export const sandboxSettingsSchema = z.object({
  lifecycle: lifecycleSchema,
  timeoutMs: z.number(),
  memoryMb: z.number(),
  cpus: z.number(),
  pids: z.number(),
  network: z.enum(['none', 'bridge']),
  env: z.record(z.string(), z.string()),
});
export type SandboxSettings = z.infer<typeof sandboxSettingsSchema>;

/** A runtime: an image, and what is done in it with a bundle. */
export const runtimeSpecSchema = z.object({
  name: z.string(),
  /** Image reference; a bundled runtime's image is built where it is missing. */
  image: z.string(),
  /** Absolute folder in the sandbox at which the bundle is unpacked. */
  path: z.string(),
  /** Shell command, run at `path` once for each bundle, or for each content of `dependencyFiles`. */
  dependencies: z.string().optional(),
  /** All files of a bundle, at its root, that `dependencies` read; without it they may read any. */
  dependencyFiles: z.array(z.string()).optional(),
  /** Shell command, run at `path` for each call. */
  run: z.string(),
  /** Shell command that keeps running and serves calls over the runtime protocol. */
  handler: z.string().optional(),
});
export type RuntimeSpec = z.infer<typeof runtimeSpecSchema>;

/** Uploaded code, named by the SHA-256 of the bytes that were uploaded (hex). */
export const bundleRefSchema = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Packed size in bytes. */
  size: z.number(),
  format: z.enum(BUNDLE_FORMATS),
});
export type BundleRef = z.infer<typeof bundleRefSchema>;

const specBase = {
  /** Names this version for good (UUID v7): a function deleted and registered anew gets another. */
  id: z.string(),
  owner: z.string(),
  name: z.string(),
  version: z.number(),
  settings: sandboxSettingsSchema,
  /**
   * The image that every call of the version runs, its own or its runtime's: `NAME@DIGEST`, or the id of an image that is
   * in no registry. Absent until a worker has looked up what the name stands for; then it never changes. A bundled
   * runtime has none, because Panal builds its image anew.
   */
  imageDigest: z.string().optional(),
};

/** All that a worker must know to run one version of a function. Immutable, except that `imageDigest` is added once. */
export const functionSpecSchema = z.discriminatedUnion('kind', [
  z.object({ ...specBase, kind: z.literal('image'), image: z.string() }),
  z.object({ ...specBase, kind: z.literal('runtime'), runtime: runtimeSpecSchema, bundle: bundleRefSchema }),
]);
export type FunctionSpec = z.infer<typeof functionSpecSchema>;
export type ImageFunctionSpec = Extract<FunctionSpec, { kind: 'image' }>;
export type RuntimeFunctionSpec = Extract<FunctionSpec, { kind: 'runtime' }>;

/** Whether a sandbox of the version serves further calls. */
export const reusesSandboxes = (spec: FunctionSpec): boolean =>
  LIFECYCLE_TRAITS[spec.settings.lifecycle].reuses;

/** How calls of the version are spoken to its process. */
export const contractNameOf = (spec: FunctionSpec): ContractName =>
  LIFECYCLE_TRAITS[spec.settings.lifecycle].contract;

/** The runtime of the version; `undefined` if it is an image. */
export const runtimeOf = (spec: FunctionSpec): RuntimeSpec | undefined =>
  spec.kind === 'runtime' ? spec.runtime : undefined;

/** The uploaded code of the version; `undefined` if it is an image. */
export const bundleOf = (spec: FunctionSpec): BundleRef | undefined =>
  spec.kind === 'runtime' ? spec.bundle : undefined;

/** The image by which its owner registered the version; `undefined` if it runs on a runtime. */
export const imageNameOf = (spec: FunctionSpec): string | undefined =>
  spec.kind === 'image' ? spec.image : undefined;

/** The name of the image that its calls run: its own, or its runtime's. */
export const baseImageOf = (spec: FunctionSpec): string =>
  spec.kind === 'image' ? spec.image : spec.runtime.image;

/**
 * What the parameter of a call is. `none`: it has none. `json`: JSON text (of `/invokeFunction`). `raw`: the bytes of
 * a request body as they came (of `/run`). `prepare`: the call does not run the function. It ends once the function is
 * prepared on a worker, and a sandbox of it has started.
 */
export const INPUT_KINDS = ['none', 'json', 'raw', 'prepare'] as const;
export type InputKind = (typeof INPUT_KINDS)[number];
