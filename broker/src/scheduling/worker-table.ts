import type { BrokerMessage, Hello, Peer } from '@panal/transport';
import type { Job } from './job.js';

/** An attempt that a worker has. */
export interface HeldAttempt {
  readonly lease: string;
  readonly job: Job;
  readonly workerId: string;
  /** Its mini-worker; unknown while it waits for one, and if it already ran when its worker said hello. */
  slot: number | undefined;
  /** While its parameter is read from the store: messages about it, for its worker to get after it. */
  held: BrokerMessage[] | undefined;
  /** Its result is here and being stored. */
  ending: boolean;
}

/** A connected worker. */
export interface ConnectedWorker {
  readonly id: string;
  readonly peer: Peer;
  readonly hello: Hello;
  /** `CAPABILITIES`, and others that a worker of a later version has. */
  readonly capabilities: ReadonlySet<string>;
  /** Versions whose spec it was sent, by id: whose they are, and the digest that the spec had. */
  readonly specs: Map<string, { owner: string; imageDigest: string | undefined }>;
  readonly attempts: Map<string, HeldAttempt>;
  draining: boolean;
  /** On the monotonic clock, in ms: a wall clock that jumps must not lose a worker. */
  lastHeard: number;
}

/** A worker as its operators see it. */
export interface WorkerView {
  id: string;
  host: string;
  state: 'up' | 'draining';
  sandbox: 'docker' | 'process';
  /** How calls reach their process: through the agent, the engine's API, or a plain child process. */
  path: 'agent' | 'engine' | 'direct';
  slots: number;
  /** What its running calls may take together, in MiB. */
  memoryMb?: number | undefined;
  lastHeartbeat: string;
  miniWorkers: { id: number; state: 'idle' | 'busy'; functionName?: string; callNum?: number }[];
  /** Idle sandboxes by the id of a version, or `runtime:IMAGE`; of versions of others, how many in all. */
  holds: Record<string, number>;
}

/** @param owner whose calls are named; those of others are not. */
export function viewOf(
  worker: ConnectedWorker,
  holds: ReadonlyMap<string, number>,
  owner: string,
): WorkerView {
  const { slots, memoryMb, host, sandbox, path } = worker.hello;
  const miniWorkers = Array.from({ length: slots }, (_, id): WorkerView['miniWorkers'][number] => ({
    id,
    state: 'idle',
  }));
  for (const { slot, job } of worker.attempts.values()) {
    if (slot === undefined) continue;
    const call = job.spec.owner === owner ? { functionName: job.spec.name, callNum: job.callNum } : {};
    miniWorkers[slot] = { id: slot, state: 'busy', ...call };
  }
  return {
    id: worker.id,
    host,
    state: worker.draining ? 'draining' : 'up',
    sandbox,
    path,
    slots,
    memoryMb,
    lastHeartbeat: new Date(Date.now() - (performance.now() - worker.lastHeard)).toISOString(),
    miniWorkers,
    holds: shownHoldings(worker, holds, owner),
  };
}

/** Under which key the sandboxes of others are counted. */
export const OTHERS = 'others';

function shownHoldings(
  { specs }: ConnectedWorker,
  holds: ReadonlyMap<string, number>,
  owner: string,
): Record<string, number> {
  const shown: Record<string, number> = {};
  for (const [key, idle] of holds) {
    const isNamed = key.startsWith('runtime:') || specs.get(key)?.owner === owner;
    const as = isNamed ? key : OTHERS;
    shown[as] = (shown[as] ?? 0) + idle;
  }
  return shown;
}
