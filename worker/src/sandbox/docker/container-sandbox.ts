import type { Followed } from '../../engine/watch.js';
import { checkRequest, type RunRequest, type RunResult } from '../../contracts/run.js';
import type { Sandbox } from '../sandbox.js';
import type { Contract } from '../../contracts/index.js';
import type { Containers } from './containers.js';
import type { DockerPrepared } from './prepared.js';

/** What the kinds of sandboxes have in common: a container, which is watched, and removed once. */
export abstract class ContainerSandbox<C extends Contract = Contract> implements Sandbox {
  /** Also the name of its container. */
  readonly id: string;
  preloaded = false;
  onExit: (() => void) | undefined;
  protected readonly containers: Containers;
  protected prepared: DockerPrepared;
  protected readonly contract: C;
  protected readonly followed: Followed;
  #removed = false;
  #removal: Promise<boolean> | undefined;

  constructor(containers: Containers, prepared: DockerPrepared, contract: C) {
    this.containers = containers;
    this.contract = contract;
    this.prepared = prepared;
    this.id = containers.enter(prepared, this);
    this.followed = containers.watch.follow(this.id);
  }

  /**
   * Makes it ready for its first call. Whoever calls it removes the sandbox where it fails.
   * @throws FunctionError, PlatformError, the reason of `signal`
   */
  abstract start(signal: AbortSignal): Promise<void>;

  abstract run(request: RunRequest): Promise<RunResult>;

  async check(command: string[], signal: AbortSignal): Promise<RunResult> {
    return await this.run(checkRequest(command, signal));
  }

  async remove(): Promise<void> {
    this.#removed = true;
    this.#removal ??= this.dispose();
    await this.#removal;
  }

  /** Whether it is being removed, or was. */
  protected get removed(): boolean {
    return this.#removed;
  }

  /** Tells whoever keeps it that it ended, unless that is how it was meant. */
  protected exited(): void {
    if (!this.removed) this.onExit?.();
  }

  /** Says whether its container is gone. */
  protected async dispose(): Promise<boolean> {
    const gone = await this.containers.remove(this.id);
    this.followed.release();
    return gone;
  }
}
