import { z } from 'zod';

/** Names of functions and runtimes. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** The owner of everything that was made without credentials. */
export const PUBLIC_OWNER = 'public';

/** The owner of the bundled runtimes; no user can have this name, for it is not a legal one. */
export const SYSTEM_OWNER = '*';

/**
 * How long what serves a call lives: `fresh` a container for each call, `warm` a container kept and a process for
 * each call, `hot` a process kept.
 */
export const LIFECYCLES = ['fresh', 'warm', 'hot'] as const;
export type Lifecycle = (typeof LIFECYCLES)[number];

export const lifecycleSchema = z.enum(LIFECYCLES);

const envName = /^[A-Za-z_][A-Za-z0-9_]*$/;
// NUL ends a string for the kernel, so it cannot stand in an environment.
/** Most bytes of an environment, names and values together. */
export const MAX_ENV_BYTES = 64 * 1024;
const hasRoom = (env: Readonly<Record<string, string>>): boolean =>
  Object.entries(env).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0) <=
  MAX_ENV_BYTES;
const noNul = (value: string): boolean => !value.includes('\0');

/** What an owner may set for a function; each has a default in the broker's settings. */
export const functionSettingsSchema = z.strictObject({
  lifecycle: lifecycleSchema.optional(),
  /** Longest run of one attempt, in ms; preparing the sandbox does not count. */
  timeoutMs: z.int().min(1).max(3_600_000).optional(),
  /** Memory of the sandbox, in MiB. */
  memoryMb: z.int().min(6).max(1_048_576).optional(),
  /** Processor share, in cores. */
  cpus: z.number().min(0.01).max(1024).optional(),
  /** Most processes and threads at once. */
  pids: z.int().min(4).max(65_536).optional(),
  network: z.enum(['none', 'bridge']).optional(),
  env: z
    .record(z.string().regex(envName), z.string().max(32_768).refine(noNul, 'must not contain NUL'))
    .refine(hasRoom, `must have at most ${MAX_ENV_BYTES} bytes in all`)
    .optional(),
  /** Most calls of this function that run at once, in the whole cluster. */
  maxConcurrency: z.int().min(1).max(1_000_000).optional(),
  /** What to do when the function itself fails: `attempts` in all, `backoffMs` apart. */
  retry: z
    .strictObject({
      attempts: z.int().min(1).max(100),
      backoffMs: z.int().min(0).max(86_400_000).default(1000),
    })
    .optional(),
});
export type FunctionSettings = z.infer<typeof functionSettingsSchema>;

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

const SYSTEM_FOLDERS = ['/proc', '/sys', '/dev', '/run', '/var/run'];

/** Whether `path`, absolute and normalised, is or lies in a folder through which a sandbox meets its kernel and Panal. */
export function isSystemFolder(path: string): boolean {
  return path === '/' || SYSTEM_FOLDERS.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

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

export const BUNDLE_FORMATS = ['zip', 'tar.gz'] as const;
export type BundleFormat = (typeof BUNDLE_FORMATS)[number];

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
};

/** All that a worker must know to run one version of a function. Immutable, except that `imageDigest` is added once. */
export const functionSpecSchema = z.discriminatedUnion('kind', [
  z.object({
    ...specBase,
    kind: z.literal('image'),
    image: z.string(),
    /**
     * The image that every call of the version runs: `NAME@DIGEST`, or the id of an image that is in no registry. Absent
     * until a worker has looked up what `image` stands for; then it never changes.
     */
    imageDigest: z.string().optional(),
  }),
  z.object({ ...specBase, kind: z.literal('runtime'), runtime: runtimeSpecSchema, bundle: bundleRefSchema }),
]);
export type FunctionSpec = z.infer<typeof functionSpecSchema>;
export type ImageFunctionSpec = Extract<FunctionSpec, { kind: 'image' }>;

/** The image that the version is bound to; `undefined` if that is not known yet, or the function runs on a runtime. */
export const imageDigestOf = (spec: FunctionSpec): string | undefined =>
  spec.kind === 'image' ? spec.imageDigest : undefined;

/**
 * What the parameter of a call is. `none`: it has none. `json`: JSON text (of `/invokeFunction`). `raw`: the bytes of
 * a request body as they came (of `/run`). `prepare`: the call does not run the function. It ends once the function is
 * prepared on a worker, and a sandbox of it has started.
 */
export const INPUT_KINDS = ['none', 'json', 'raw', 'prepare'] as const;
export type InputKind = (typeof INPUT_KINDS)[number];

/** `PENDING → RUNNING →` one of the settled ones; a retry goes back to `PENDING`. */
export const CALL_STATUSES = [
  'PENDING',
  'RUNNING',
  'DONE',
  'FAILED',
  'TIMEOUT',
  'CANCELLED',
  'DEAD',
] as const;
export type CallStatus = (typeof CALL_STATUSES)[number];

export const isSettled = (status: CallStatus): boolean => status !== 'PENDING' && status !== 'RUNNING';
