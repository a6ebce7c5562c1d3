import type { CallRecord, FunctionRecord, RuntimeRecord, UserRecord, VersionRecord } from '@panal/db';

/** Any bytes, text or not. */
export const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => byte);

export const SHA256 = 'ab'.repeat(32);

export function aUser(name: string, change: Partial<UserRecord> = {}): UserRecord {
  const password = { N: 2, r: 1, p: 1, salt: 'c2FsdA==', hash: 'aGFzaA==' };
  return { name, id: `id of ${name}`, password, createdAt: 1, ...change };
}

export function aRuntime(name: string, change: Partial<RuntimeRecord> = {}): RuntimeRecord {
  return {
    owner: 'ada',
    name,
    image: 'python',
    path: '/ws',
    run: 'python3 test.py',
    createdAt: 1,
    updatedAt: 2,
    ...change,
  };
}

export function aFunction(name: string, change: Partial<FunctionRecord> = {}): FunctionRecord {
  return { owner: 'ada', name, activeVersion: 1, latestVersion: 1, createdAt: 1, updatedAt: 2, ...change };
}

const settings = {
  lifecycle: 'warm',
  timeoutMs: 1000,
  memoryMb: 64,
  cpus: 0.5,
  pids: 16,
  network: 'none',
  env: {},
} as const;

/** A version of a function that runs code on a runtime. */
export function aVersion(name: string, version: number, change: Partial<VersionRecord> = {}): VersionRecord {
  return {
    spec: {
      id: `${name}-${version}`,
      owner: 'ada',
      name,
      version,
      settings,
      kind: 'runtime',
      runtime: { name: 'python', image: 'python', path: '/ws', run: 'python3 test.py' },
      bundle: { sha256: SHA256, size: 3, format: 'zip' },
    },
    settings: { memoryMb: 64, env: { COLOUR: 'blue' } },
    runtimeOwner: '*',
    createdAt: 3,
    ...change,
  };
}

/** A version of a function that is an image. */
export function anImageVersion(name: string, version: number): VersionRecord {
  const spec = {
    id: `${name}-${version}`,
    owner: 'ada',
    name,
    version,
    settings,
    kind: 'image',
    image: 'example/image',
  } as const;
  return { spec, settings: {}, createdAt: 3 };
}

export function aCall(callNum: number, change: Partial<CallRecord> = {}): CallRecord {
  return {
    callNum,
    owner: 'ada',
    funcName: 'dice',
    version: 1,
    functionId: 'dice-1',
    input: 'json',
    params: new Uint8Array([123, 125]),
    status: 'PENDING',
    attempts: 0,
    acceptedAt: 1000 + callNum,
    ...change,
  };
}

export function settled(call: CallRecord, change: Partial<CallRecord> = {}): CallRecord {
  return { ...call, status: 'DONE', attempts: 1, settledAt: 5000, result: new Uint8Array([52]), ...change };
}

/** A call as a value to compare: a store may give its bytes as any kind of `Uint8Array`. */
export function plain(call: CallRecord | undefined): CallRecord | undefined {
  if (call === undefined) return undefined;
  const { params, result, logs, ...rest } = call;
  return {
    ...rest,
    params: Uint8Array.from(params),
    ...(result && { result: Uint8Array.from(result) }),
    ...(logs && { logs: Uint8Array.from(logs) }),
  };
}
