import { z } from 'zod';
import {
  ERROR_STATUS,
  functionSpecSchema,
  INPUT_KINDS,
  lifecycleSchema,
  type ErrorCode,
} from '@panal/protocol';

/** Version of the worker protocol. A broker refuses a worker of another. */
export const PROTOCOL_VERSION = 1;

/** Most calls that a worker lets wait for each of its mini-workers; it hands back what is more. */
export const MOST_AHEAD = 8;

const errorSchema = z.object({
  code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
});

/** dispatch, worker → broker: I am here. Sent on connecting, and again to a broker that does not know the worker. */
const hello = z.object({
  type: z.literal('hello'),
  protocol: z.int(),
  worker: z.string().min(1).max(128),
  host: z.string(),
  slots: z.int().min(1).max(4096),
  /** What the sandboxes of its running calls may take together, in MiB; without it, any amount. */
  memoryMb: z.int().min(1).optional(),
  sandbox: z.enum(['docker', 'process']),
  /** How calls reach their process: through the agent, the engine's API, or a plain child process. */
  path: z.enum(['agent', 'engine', 'direct']),
  /** What it can do (`CAPABILITIES`, and others that later versions have). Workers of earlier versions do not say it. */
  capabilities: z.array(z.string().min(1).max(64)).max(64).optional(),
  /** What workers said before they had `capabilities`: an input of the kind `prepare` is understood. */
  prepares: z.boolean().optional(),
  /** Attempts this worker runs now, or holds an outcome of: the broker must not give them to another. */
  leases: z.array(z.string()),
});

/** dispatch, worker → broker: the mini-worker `slot` is idle. One credit: at most one `invoke` answers it. */
const ready = z.object({ type: z.literal('ready'), slot: z.int().min(0).max(4095) });

/** dispatch, worker → broker: as many idle sandboxes stand here for `key` (a function id, or `runtime:IMAGE`). */
const holds = z.object({ type: z.literal('holds'), key: z.string().max(1024), idle: z.int().min(0) });

/** dispatch, both ways: still here. From a worker it renews the leases of all it runs. */
const heartbeat = z.object({ type: z.literal('heartbeat') });

/** dispatch, worker → broker: give me nothing more; I end what I run. */
const drain = z.object({ type: z.literal('drain') });

/** dispatch, worker → broker: I leave, and hold nothing any more. */
const bye = z.object({ type: z.literal('bye') });

/** dispatch, broker → worker: answers `hello`. */
export const welcomeSchema = z.object({
  type: z.literal('welcome'),
  protocol: z.int(),
  /** Names this run of the broker: another one means that it restarted. */
  broker: z.string(),
  heartbeatMs: z.int().min(1).max(60_000),
  /** A side that heard nothing for this long takes the other for lost. */
  leaseMs: z.int().min(1).max(600_000),
  /** Whether the broker listens for HTTP or ZeroMQ beyond this machine. */
  exposed: z.boolean(),
});

/** dispatch, broker → worker: answers `hello`; the worker stops. */
const refuse = z.object({ type: z.literal('refuse'), message: z.string() });

/** dispatch, broker → worker: I do not know you; say `hello`. */
const who = z.object({ type: z.literal('who') });

/**
 * dispatch, broker → worker: run this attempt on the mini-worker `slot`; or, where that is busy or not said, on any that
 * is idle, or on the next one that is. Parts: the input.
 */
const invoke = z.object({
  type: z.literal('invoke'),
  lease: z.string(),
  slot: z.int().min(0).optional(),
  /** Idle mini-workers there that are not for this call, which waits for another one. */
  spared: z.int().min(1).optional(),
  callNum: z.int().min(1),
  attempt: z.int().min(1),
  functionId: z.string(),
  /** Only if this worker, since its hello, was not told of this function, or not of its image's digest. */
  spec: functionSpecSchema.optional(),
  input: z.enum(INPUT_KINDS),
});

/** dispatch, broker → worker: stop this attempt; its outcome is still owed. */
const cancel = z.object({ type: z.literal('cancel'), lease: z.string() });

/**
 * dispatch, broker → worker: somebody follows the logs of this attempt, or (`on` false) nobody does any more. Said
 * again, it makes the worker begin again from the first byte.
 */
const follow = z.object({ type: z.literal('follow'), lease: z.string(), on: z.boolean() });

/** dispatch, broker → worker: these outcomes are stored; forget them. */
const ack = z.object({ type: z.literal('ack'), leases: z.array(z.string()) });

/** dispatch, broker → worker: these functions are gone or replaced; sandboxes kept for them may go. */
const retire = z.object({ type: z.literal('retire'), functionIds: z.array(z.string()) });

/**
 * reply, worker → broker: how an attempt ended. Parts: result, logs. Sent until acked.
 * `platform`: the fault is Panal's (or its registry's), not the function's, so that the call may be tried again.
 */
const outcome = z.object({
  type: z.literal('outcome'),
  lease: z.string(),
  callNum: z.int().min(1),
  worker: z.string(),
  status: z.enum(['DONE', 'FAILED', 'TIMEOUT', 'CANCELLED']),
  platform: z.boolean(),
  exitCode: z.int().optional(),
  error: errorSchema.optional(),
  start: lifecycleSchema.optional(),
  /** It did not begin here: it is to begin elsewhere, at once, and that costs no attempt. */
  returned: z.boolean().optional(),
  /** What the image's name stood for, if the function's spec has no `imageDigest` yet. */
  imageDigest: z.string().max(1024).optional(),
  /** Whether a sandbox that was started ahead served it. */
  preloaded: z.boolean(),
  /**
   * The mini-worker that is idle again, as by `ready`: most calls need no second message. Not said when it took another
   * call, nor when the outcome is sent again.
   */
  free: z.int().min(0).optional(),
  /** Whether its sandbox stands idle again, and is to be counted among what the worker holds. */
  kept: z.boolean().optional(),
  /** Milliseconds: making the sandbox ready; running. */
  prepareMs: z.number().min(0),
  runMs: z.number().min(0),
});

/**
 * reply, worker → broker: a piece of a running attempt's logs, only after `follow`: first what there was so far.
 * `offset`: where in the attempt's logs it stands, in bytes. Parts: the piece.
 */
const log = z.object({
  type: z.literal('log'),
  lease: z.string(),
  callNum: z.int().min(1),
  offset: z.int().min(0),
});

/** bundle, worker → broker: send me these bytes. Several may be under way: that is the credit. */
const fetchChunk = z.object({
  type: z.literal('fetch'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  offset: z.int().min(0),
  length: z
    .int()
    .min(1)
    .max(1024 * 1024),
});

/** bundle, broker → worker: the bytes asked for (fewer at the end of the bundle), or none if it is not there. */
const chunk = z.object({
  type: z.literal('chunk'),
  sha256: z.string(),
  offset: z.int().min(0),
  size: z.int().min(0),
  found: z.boolean(),
});

export const workerMessageSchema = z.discriminatedUnion('type', [hello, ready, holds, heartbeat, drain, bye]);
/** What a broker says on the dispatch channel, but for `welcome`, to which a transport may add fields. */
export const orderSchemas = [refuse, who, invoke, cancel, follow, ack, retire, heartbeat] as const;
export const replyMessageSchema = z.discriminatedUnion('type', [outcome, log]);
export const bundleRequestSchema = fetchChunk;
export const bundleReplySchema = chunk;

/** What a worker says on the dispatch channel. */
export type WorkerMessage = z.infer<typeof workerMessageSchema>;
/** What a broker says on the dispatch channel. */
export type BrokerMessage = Welcome | z.infer<(typeof orderSchemas)[number]>;
/** What a worker says on the reply channel. */
export type ReplyMessage = z.infer<typeof replyMessageSchema>;
export type BundleRequest = z.infer<typeof bundleRequestSchema>;
export type BundleReply = z.infer<typeof bundleReplySchema>;

export type Hello = z.infer<typeof hello>;
export type Welcome = z.infer<typeof welcomeSchema>;
export type Invoke = z.infer<typeof invoke>;
export type Outcome = z.infer<typeof outcome>;
export type LogPiece = z.infer<typeof log>;
