import type { RunRequest, RunResult } from '../contracts/run.js';
import type { Capability, FunctionSpec, Lifecycle } from '@panal/protocol';
import type { Cache } from '../cache/cache-keeper.js';
import type { OnOutput } from '../output/on-output.js';

/** One running sandbox, bound to one function version. One call at a time. */
export interface Sandbox {
  readonly id: string;
  /** Whether it was started before the call that took it was known. */
  preloaded: boolean;
  /** Called at most once, when the sandbox dies by itself while idle. */
  onExit: (() => void) | undefined;
  /**
   * Runs one call. Resolves with the function's outcome, also a bad one.
   * @throws PlatformError where the platform, not the function, failed.
   */
  run(request: RunRequest): Promise<RunResult>;
  /** Runs a command that checks the function's program, as `run` runs a call; `undefined` if it cannot. */
  check(command: string[], signal: AbortSignal): Promise<RunResult | undefined>;
  /** Kills and removes it with all that it left. May be called twice, and while a call runs. */
  remove(): Promise<void>;
}

/** What a function needs before its sandboxes can start: its image, or its folder. Made once, and kept. */
export interface Prepared {
  /** With the digest of the image that was found, where the driver looked for one. */
  readonly spec: FunctionSpec;
  /** Kind of the blanks that can become its sandboxes; `undefined`: none can. */
  readonly blanks?: string | undefined;
}

/** A sandbox that was started ahead of any function: of a runtime, ready for code, and with none in it. */
export interface Blank {
  readonly id: string;
  /** Called at most once, when it dies by itself. */
  onExit: (() => void) | undefined;
  /**
   * Makes it a sandbox of a function whose `blanks` is its kind, with the function's code, limits and environment.
   * `undefined` where that failed: it is removed then.
   */
  bind(prepared: Prepared): Promise<Sandbox | undefined>;
  /** As that of a sandbox. */
  remove(): Promise<void>;
}

/** What a driver found when it opened. */
export interface DriverInfo {
  sandbox: 'docker' | 'process';
  /** How calls reach their process; `GET /workers` shows it. */
  path: 'agent' | 'engine' | 'direct';
  /** What it can do that another driver may not. */
  capabilities: readonly Capability[];
  /** Things an operator should know, such as missing isolation. */
  warnings: string[];
}

/**
 * What makes sandboxes. Errors of the function's own making (its image is unknown, its dependencies do not install,
 * its handler does not start) are `FunctionError`; all else that goes wrong is `PlatformError`, and may be tried again.
 */
export interface SandboxDriver {
  /** Checks what it needs and removes what an earlier run of this worker left. */
  open(): Promise<DriverInfo>;
  /** Removes every sandbox of this worker. */
  close(): Promise<void>;
  /**
   * Makes what the sandboxes of `spec` start from: pulls or builds the image, unpacks the bundle, installs its
   * dependencies. Callers see to it that it runs once for a function at a time.
   */
  prepare(spec: FunctionSpec, signal: AbortSignal, onOutput?: OnOutput): Promise<Prepared>;
  /** Starts a sandbox of the function's lifecycle, ready for its first call. */
  start(prepared: Prepared, lifecycle: Lifecycle, signal: AbortSignal): Promise<Sandbox>;
  /**
   * Starts a blank of the kind that `like` can use, with its limits; where there are no blanks, no function's `blanks`
   * names a kind.
   */
  preload?(like: Prepared, signal: AbortSignal): Promise<Blank>;
  /** Removes what no living sandbox of this worker accounts for. */
  reclaim(): Promise<void>;
  /** What it keeps for sandboxes to come; known once it is open. */
  caches(): readonly Cache[];
}
