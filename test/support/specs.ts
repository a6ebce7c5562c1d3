import type { VersionRecord } from '@panal/db';
import type {
  FunctionSettings,
  FunctionSpec,
  Lifecycle,
  RuntimeSpec,
  SandboxSettings,
} from '@panal/protocol';

const SANDBOX_DEFAULTS = {
  timeoutMs: 10_000,
  memoryMb: 128,
  cpus: 1,
  pids: 64,
  network: 'none',
  env: {},
} as const;

/** The bundled Python runtime, as it is registered. */
export const pythonRuntime: RuntimeSpec = {
  name: 'pythonruntime',
  image: 'pythonruntime',
  path: '/ws',
  dependencies: '[ ! -f requirements.txt ] || pip3 install -r requirements.txt',
  run: 'python3 test.py',
  handler: 'exec python3 "$FAAS_RUNTIME_DIR/loop.py"',
};

interface SpecOptions {
  id?: string;
  owner?: string;
  version?: number;
  lifecycle?: Lifecycle;
  settings?: Partial<SandboxSettings>;
}

/** The spec of an image function. */
export function imageSpec(name: string, options: SpecOptions & { image?: string } = {}): FunctionSpec {
  const { id = `id-${name}`, owner = 'public', version = 1, lifecycle = 'fresh', settings, image } = options;
  const base = { id, owner, name, version, settings: { ...SANDBOX_DEFAULTS, lifecycle, ...settings } };
  return { ...base, kind: 'image', image: image ?? `example/${name}` };
}

/** The spec of a runtime function. */
export function runtimeSpec(
  name: string,
  options: SpecOptions & { runtime?: RuntimeSpec; sha256?: string } = {},
): FunctionSpec {
  const { id = `id-${name}`, owner = 'public', version = 1, lifecycle = 'warm', settings } = options;
  const { runtime = pythonRuntime, sha256 = 'a'.repeat(64) } = options;
  const base = { id, owner, name, version, settings: { ...SANDBOX_DEFAULTS, lifecycle, ...settings } };
  return { ...base, kind: 'runtime', runtime, bundle: { sha256, size: 100, format: 'tar.gz' } };
}

/** A stored version of a function. */
export function versionOf(spec: FunctionSpec, settings: FunctionSettings = {}): VersionRecord {
  return { spec, settings, createdAt: 1_700_000_000_000 };
}
