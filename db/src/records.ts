import type { BundleRef, FunctionSettings, FunctionSpec, RuntimeSpec } from '@panal/protocol';
import type { CallHead } from './call-head.js';

/** A runtime of an owner. */
export interface RuntimeRecord extends RuntimeSpec {
  owner: string;
  /** Epoch ms. */
  createdAt: number;
  updatedAt: number;
}

/** A function: the name that calls use, and which version it stands for now. */
export interface FunctionRecord {
  owner: string;
  name: string;
  activeVersion: number;
  /** Highest version ever given out, so that a number is never used twice. */
  latestVersion: number;
  createdAt: number;
  updatedAt: number;
}

/** One version of a function. Immutable, except that the digest of its image is added once. */
export interface VersionRecord {
  /** What a worker needs, with the broker's defaults filled in. */
  spec: FunctionSpec;
  /** What the owner set, without defaults. */
  settings: FunctionSettings;
  /** Owner of the runtime used: the function's own, or `SYSTEM_OWNER`. */
  runtimeOwner?: string;
  createdAt: number;
}

/** What lists, quotas and deletions need of a version: all but its settings and commands, which may be long. */
export interface VersionSummary {
  /** `FunctionSpec.id`. */
  id: string;
  version: number;
  createdAt: number;
  /** Of an image function. */
  image?: string;
  /** What the name of its image, or of its runtime's, stood for when a call first ran it. */
  imageDigest?: string;
  /** Of a function on a runtime. */
  code?: { runtimeName: string; runtimeOwner: string; bundle: BundleRef };
}

/** Milliseconds spent in each phase of a call; `queued` is all the time in which no worker had it. */
export type CallTimings = NonNullable<CallHead['timings']>;

/** The parts of a call that may be long. */
export const CALL_PARTS = ['params', 'result', 'logs'] as const;
export type CallPart = (typeof CALL_PARTS)[number];

/** All that is known of a call. A field that is `undefined` is as good as none. */
export interface CallRecord extends CallHead {
  params: Uint8Array;
  result?: Uint8Array | undefined;
  /** stderr, capped, with a marker where it was cut. */
  logs?: Uint8Array | undefined;
}

/** Bytes of a part of a call, whether the record holds it or not. */
export function sizeOfPart(call: CallRecord, part: CallPart): number {
  return call.apart?.[part] ?? call[part]?.byteLength ?? 0;
}

/**
 * A copy of a call with a place for every field, known or not: all that it will ever have. A copy made by `...` is of a
 * hidden class of its own in V8, and so is what gains fields later; every function that then sees it has to look up
 * anew where its fields are. For calls, of which there are thousands a second, that was a sixth of the broker's time.
 */
export function copyOfCall(call: CallRecord): CallRecord {
  return {
    callNum: call.callNum,
    owner: call.owner,
    funcName: call.funcName,
    version: call.version,
    functionId: call.functionId,
    input: call.input,
    params: call.params,
    status: call.status,
    attempts: call.attempts,
    acceptedAt: call.acceptedAt,
    putBack: call.putBack,
    cancelling: call.cancelling,
    notBefore: call.notBefore,
    settledAt: call.settledAt,
    result: call.result,
    logs: call.logs,
    exitCode: call.exitCode,
    error: call.error,
    worker: call.worker,
    start: call.start,
    preloaded: call.preloaded,
    timings: call.timings,
    apart: call.apart,
  } satisfies Record<keyof CallRecord, unknown>;
}

/** A password as it is kept: stretched by scrypt (RFC 7914), with what is needed to do it again. Bytes in base64. */
export interface PasswordRecord {
  /** Cost, block size and parallelisation. */
  N: number;
  r: number;
  p: number;
  salt: string;
  hash: string;
}

/** What a token says, which is all that is needed to issue the same one again. The token itself is not kept. */
export interface TokenRecord {
  id: string;
  /** Epoch seconds, as in a JWT. */
  issuedAt: number;
  expiresAt: number;
}

/** Whoever has a name and a password. The user's name is the owner of all that it makes. */
export interface UserRecord {
  /** For people an e-mail address; NFKC. */
  name: string;
  /** Names this user for good: one who is deleted and registered anew gets another. */
  id: string;
  password: PasswordRecord;
  /** The last one that was issued. */
  token?: TokenRecord;
  /** Epoch ms. */
  createdAt: number;
}

/** Says to a subscriber that a call has settled. */
export interface CallEvent {
  owner: string;
  callNum: number;
  /** Epoch ms. */
  settledAt: number;
  /** The name of the subscriber. */
  subscriber: string;
}

/** What a client named a request by (`Idempotency-Key`), so that it may send it again and get the same call. */
export interface CallKey {
  name: string;
  /** Tells the request from another one that comes with the same key. */
  fingerprint: string;
}

/** The call that a key stands for. */
export interface KeyedCall {
  callNum: number;
  fingerprint: string;
  /** When the call was accepted, epoch ms. */
  acceptedAt: number;
}
