import type { WorkerView } from '@panal/api';
import type { CallKey, CallQuery, CallRecord, VersionRecord } from '@panal/db';
import type { Config, ErrorCode, InputKind } from '@panal/protocol';
import type { MetricSet } from '@panal/protocol/metrics';
import type { Logger } from 'pino';
import type { Backups } from '../backup/backups.js';
import type { KeyedCalls } from '../calls/keyed-calls.js';
import type { LogFollower } from '../calls/log-followers.js';
import type { FunctionHosts, Functions } from '../functions/functions.js';
import type { Runtimes } from '../functions/runtimes.js';
import type { Registrations } from '../users/registrations.js';
import type { Users } from '../users/users.js';
import type { ClientAddress } from './users/client-address.js';
import type { RequestMemory } from './memory/request-memory.js';
import type { Disconnection } from './routing/context.js';

/** The parameter of a call, as it is stored and as its function gets it. */
export interface CallInput {
  kind: InputKind;
  bytes: Uint8Array;
}

/** The life of calls, as far as a request takes part in it. */
export interface CallService {
  /**
   * Stores a new call of `version` and lines it up.
   * @param options.awaited the client hears of the call no earlier than `settled` answers, so that until then the
   * call need not be on disk.
   * @param options.key stored with the call
   * @throws PanalError QUEUE_FULL, STORE_UNAVAILABLE, NO_CONTAINER_ENGINE, SHUTTING_DOWN
   */
  accept(
    version: VersionRecord,
    input: CallInput,
    options: { awaited: boolean; key?: CallKey },
  ): Promise<CallRecord>;
  /**
   * Resolves with the call once it is settled, or with `undefined` after `waitMs` or when its client has gone; an
   * unsettled call is on disk by then, however it was accepted.
   */
  settled(call: CallRecord, waitMs: number, gone?: Disconnection): Promise<CallRecord | undefined>;
  /** The call, with its long parts of at most `limit` bytes; all of them by default. */
  get(owner: string, callNum: number, limit?: number): Promise<CallRecord | undefined>;
  list(query: CallQuery): Promise<CallRecord[]>;
  /** The call with its parts that are not in memory. */
  whole(call: CallRecord): Promise<CallRecord>;
  /**
   * Resolves with the call, `CANCELLED`, or still `RUNNING` while a worker stops it.
   * @throws PanalError CALL_NOT_FOUND, CALL_SETTLED
   */
  cancel(owner: string, callNum: number): Promise<CallRecord>;
  /**
   * Puts a call back that is `DEAD`; it is stored as `PENDING` when this resolves.
   * @throws PanalError CALL_NOT_FOUND, CALL_NOT_DEAD, VERSION_NOT_FOUND, and as `accept` does
   */
  putBack(owner: string, callNum: number): Promise<CallRecord>;
  /** Whether the broker is about to stop. */
  readonly stopping: boolean;
  /** How many calls of an owner's run now. */
  runningOf(owner: string): number;
  /**
   * Tells `follower` of the call's logs, from what is stored to the call's end. Resolves with what stops that.
   * @throws PanalError CALL_NOT_FOUND
   */
  follow(owner: string, callNum: number, follower: LogFollower): Promise<() => void>;
}

/** The connected workers. */
export interface Cluster extends FunctionHosts {
  /** Of the calls that they run, only those of `owner` are named. */
  workers(owner: string): WorkerView[];
}

/** Whether there is room for what requests bring. */
export interface Room {
  /** @throws PanalError STORE_UNAVAILABLE if nothing of so many bytes can be stored now */
  admit(bytes: number): void;
}

export interface Readiness {
  /** Why calls cannot be served now, a sentence each; empty when they can. */
  problems(): string[];
}

/** All that requests are answered with. */
export interface Services {
  users: Users;
  /** Whether one can act without credentials. */
  auth: Config['FAAS_AUTH'];
  clientAddress: ClientAddress;
  functions: Functions;
  runtimes: Runtimes;
  calls: CallService;
  /** Calls that their clients named. */
  keyedCalls: KeyedCalls;
  cluster: Cluster;
  readiness: Readiness;
  room: Room;
  metrics: Pick<MetricSet, 'text' | 'contentType'>;
  /** Counts the errors that requests were answered with. */
  errors: { answered(code: ErrorCode): void };
  registrations: Registrations;
  backups: Backups;
  /** Whoever shows it is the operator; without one nobody is. */
  operatorToken: string | undefined;
  /** Where uploads are written while they come in; they are moved or removed before the request ends. */
  uploadFolder: string;
  /** Largest request body, and largest packed bundle, in bytes. */
  limits: { body: number; bundle: number };
  memory: RequestMemory;
  /** How long `/functions/activate` waits, in ms, and how many calls of a user's it lets run at once. */
  gateway: { waitMs: number; concurrency: (owner: string) => number };
  log: Logger;
}
