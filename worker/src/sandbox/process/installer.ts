import { randomBytes } from 'node:crypto';
import { diskUse } from '@panal/support';
import type { CallError, RuntimeFunctionSpec } from '@panal/protocol';
import { reaching } from '../../egress/environment.js';
import { EGRESS_SOCKET, openEgress } from '../../egress/open.js';
import { relayed, RELAY_PIDS } from '../../egress/relay.js';
import type { Kept } from '../disk-guard.js';
import { endedLate, INSTALLING, MEMORY_SETTING, type Installation } from '../../egress/installation.js';
import { Output } from '../../contracts/output.js';
import { FunctionError, PlatformError } from '../../errors.js';
import { announce, type OnOutput } from '../../output/on-output.js';
import type { Bind } from './bubblewrap.js';
import type { Cgroup, Cgroups } from './cgroups.js';
import { buildEnvironment, certificatePaths } from './environment.js';
import { launch, placesOf, wrapperPids, type Folders, type Machine } from './launcher.js';
import type { Exit, Launched } from './launched.js';

/** Bytes kept of what `dependencies` print. */
const MAX_LOGS = 64 * 1024;
const DRAIN_MS = 1000;
/** Folder with the proxy's socket, as seen under bubblewrap. */
const EGRESS = '/run/panal/egress';

/** One run of `dependencies`. */
interface Running {
  folder: string;
  /** Bytes that the folder took before. */
  before: number;
  launched: Launched;
  /** Why Panal itself killed it. */
  killedFor?: CallError;
}

/** Its folders, below `root`, which is removed with all that is left. */
export interface InstallationFolders extends Folders {
  root: string;
}

/**
 * Runs `dependencies`, contained as a call is, but with limits of their own: under bubblewrap, in a control group,
 * watched by the disk guard, and with no network but the proxy for registries.
 */
export class Installer {
  readonly #machine: Machine;
  readonly #cgroups: Cgroups | undefined;
  readonly #limits: Installation;
  readonly #running = new Map<string, Running>();

  constructor(machine: Machine, cgroups: Cgroups | undefined, limits: Installation) {
    this.#machine = machine;
    this.#cgroups = cgroups;
    this.#limits = limits;
  }

  /** @throws FunctionError DEPENDENCIES_FAILED with what they printed */
  async run(
    spec: RuntimeFunctionSpec,
    dependencies: string,
    folders: InstallationFolders,
    { uid, signal }: { uid: number | undefined; signal: AbortSignal },
    onOutput?: OnOutput,
  ): Promise<void> {
    announce(onOutput, INSTALLING);
    const id = `install-${randomBytes(6).toString('hex')}`;
    const egress = this.#proxied
      ? await openEgress(this.#limits, spec.settings.env, folders.root)
      : undefined;
    const { memoryMb, cpus, pids } = this.#limits;
    const settings = {
      memoryMb,
      cpus,
      pids: pids + wrapperPids(uid) + (egress === undefined ? 0 : RELAY_PIDS),
    };
    const before = (await diskUse([folders.root])).get(folders.root) ?? 0;
    const cgroup = await this.#cgroups?.create(id, settings);
    try {
      const launched = launch(this.#machine, {
        argv:
          egress === undefined
            ? ['/bin/sh', '-c', dependencies]
            : relayed(dependencies, `${EGRESS}/${EGRESS_SOCKET}`),
        env: this.#environment(spec, folders),
        folders,
        codePath: spec.runtime.path,
        binds: this.#binds(spec, folders, egress?.folder),
        network: false,
        init: false,
        settings,
        cgroup,
        uid,
        stdin: 'ignore',
      });
      const running = { folder: folders.root, before, launched };
      this.#running.set(id, running);
      await this.#end(running, cgroup, signal, onOutput);
    } finally {
      this.#running.delete(id);
      egress?.close();
      await cgroup?.remove();
    }
  }

  /** What those that run now keep on disk. */
  async kept(): Promise<Kept[]> {
    const running = [...this.#running];
    const sizes = await diskUse(running.map(([, { folder }]) => folder));
    const limit = { mb: this.#limits.diskMb, setting: 'FAAS_DEPS_DISK_MB' } as const;
    return running.map(([name, { folder, before }]) => ({
      name,
      bytes: (sizes.get(folder) ?? 0) - before,
      limit,
    }));
  }

  /** Ends one that runs, for `why`. */
  kill(name: string, why: CallError): void {
    const running = this.#running.get(name);
    if (running === undefined) return;
    running.killedFor = why;
    running.launched.kill();
  }

  get #proxied(): boolean {
    return this.#machine.bubblewrap && this.#limits.network !== 'none';
  }

  #environment({ runtime, settings }: RuntimeFunctionSpec, folders: Folders): Record<string, string> {
    const places = placesOf(this.#machine, folders, runtime.path);
    const env = { ...buildEnvironment(process.env, places), ...settings.env };
    const { network, proxy } = this.#limits;
    return reaching(env, this.#proxied ? 'registries' : network === 'none' ? 'none' : 'bridge', proxy);
  }

  #binds({ runtime }: RuntimeFunctionSpec, folders: Folders, egress: string | undefined): Bind[] {
    const places = placesOf(this.#machine, folders, runtime.path);
    const binds: Bind[] = [
      { from: folders.home, to: places.home, writable: true },
      { from: folders.tmp, to: places.tmp, writable: true },
      ...certificatePaths(process.env).map((path) => ({ from: path, to: path })),
    ];
    if (egress === undefined) return binds;
    return [...binds, { from: egress, to: EGRESS }, { from: process.execPath, to: process.execPath }];
  }

  async #end(
    running: Running,
    cgroup: Cgroup | undefined,
    signal: AbortSignal,
    onOutput: OnOutput | undefined,
  ): Promise<void> {
    const { launched } = running;
    const output = new Output({ maxOutput: 0, maxLogs: MAX_LOGS });
    launched.onOutput((piece) => {
      output.addLogs(piece);
      onOutput?.(piece);
    });
    const deadline = AbortSignal.timeout(this.#limits.timeoutMs);
    const stop = AbortSignal.any([signal, deadline]);
    const onStop = (): void => launched.kill();
    stop.addEventListener('abort', onStop);
    if (stop.aborted) onStop();
    const exit = await launched.exit.catch((cause: unknown) => {
      throw new PlatformError('SANDBOX_FAILED', 'the dependencies command did not start', { cause });
    });
    launched.kill();
    await cgroup?.kill();
    await launched.drained(DRAIN_MS);
    stop.removeEventListener('abort', onStop);
    signal.throwIfAborted();
    if (exit.code === 0 && !deadline.aborted && running.killedFor === undefined) return;
    const how = await this.#explain(running, exit, deadline.aborted, cgroup);
    throw new FunctionError('DEPENDENCIES_FAILED', how, output.logs, exit.code);
  }

  async #explain(
    { killedFor }: Running,
    exit: Exit,
    late: boolean,
    cgroup: Cgroup | undefined,
  ): Promise<string> {
    if (killedFor !== undefined) return `dependencies ${killedFor.message}`;
    if (late) return endedLate(this.#limits);
    if (await cgroup?.outOfMemory()) {
      return `dependencies took more than ${this.#limits.memoryMb} MiB of memory (${MEMORY_SETTING})`;
    }
    return `dependencies exited with code ${exit.code}`;
  }
}
