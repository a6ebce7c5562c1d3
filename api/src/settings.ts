import { z } from 'zod';

/**
 * How long what serves a call lives: `fresh` a container for each call, `warm` a container kept and a process for
 * each call, `hot` a process kept.
 */
export const LIFECYCLES = ['fresh', 'warm', 'hot'] as const;
export type Lifecycle = (typeof LIFECYCLES)[number];

export const lifecycleSchema = z.enum(LIFECYCLES);

const envName = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Most bytes of an environment, names and values together. */
export const MAX_ENV_BYTES = 64 * 1024;
/** Most names in it. A sandbox without a container engine has room for about twice as many. */
export const MAX_ENV_NAMES = 512;
const bytesOf = (text: string): number => new TextEncoder().encode(text).byteLength;
const hasRoom = (env: Readonly<Record<string, string>>): boolean =>
  Object.entries(env).reduce((sum, [name, value]) => sum + name.length + bytesOf(value), 0) <= MAX_ENV_BYTES;
// NUL ends a string for the kernel, so it cannot stand in an environment.
const noNul = (value: string): boolean => !value.includes('\0');

const retryFields = {
  attempts: z.int().min(1).max(100),
  backoffMs: z.int().min(0).max(86_400_000).default(1000),
};
/** The setting `retry` as clients read it. */
export const retryViewSchema = z.object(retryFields);

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
    .refine((env) => Object.keys(env).length <= MAX_ENV_NAMES, `must have at most ${MAX_ENV_NAMES} names`)
    .refine(hasRoom, `must have at most ${MAX_ENV_BYTES} bytes in all`)
    .optional(),
  /** Most calls of this function that run at once, in the whole cluster. */
  maxConcurrency: z.int().min(1).max(1_000_000).optional(),
  /** What to do when the function itself fails: `attempts` in all, `backoffMs` apart. */
  retry: z.strictObject(retryFields).optional(),
});
export type FunctionSettings = z.infer<typeof functionSettingsSchema>;

/** Archives that code is uploaded in. */
export const BUNDLE_FORMATS = ['zip', 'tar.gz'] as const;
export type BundleFormat = (typeof BUNDLE_FORMATS)[number];
