import { z } from 'zod';

/**
 * Every error code Panal ever answers with, and its HTTP status. The list is closed: clients may switch on it,
 * so a code is API and a message is not. Codes from 500 up, and `TIMEOUT`, may also stand in a call's `error`.
 */
export const ERROR_STATUS = {
  /** The request is malformed: JSON that does not parse, a field of a wrong type, an unknown field. */
  INVALID_REQUEST: 400,
  /** A name is not of the form `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`. */
  INVALID_NAME: 400,
  /** No credentials where they are needed, or wrong, expired or forged ones. */
  UNAUTHORIZED: 401,
  /** The one who asks may not do this: bundled runtimes, for one, are read-only. */
  FORBIDDEN: 403,
  /** No such route. */
  NOT_FOUND: 404,
  FUNCTION_NOT_FOUND: 404,
  VERSION_NOT_FOUND: 404,
  RUNTIME_NOT_FOUND: 404,
  CALL_NOT_FOUND: 404,
  /** The route exists, not with this method. */
  METHOD_NOT_ALLOWED: 405,
  /** The runtime is used by a function and cannot be deleted. */
  RUNTIME_IN_USE: 409,
  /** The version is the active one of its function and cannot be deleted. */
  VERSION_IN_USE: 409,
  /** The call has ended and can no longer be changed. */
  CALL_SETTLED: 409,
  /** Only a call that is `DEAD` can be put back. */
  CALL_NOT_DEAD: 409,
  /** The name or e-mail address is taken. */
  ALREADY_EXISTS: 409,
  /** The client went away before its request was whole. */
  REQUEST_ABORTED: 400,
  /** A request body over `FAAS_MAX_BODY`. */
  BODY_TOO_LARGE: 413,
  /** A bundle over `FAAS_MAX_BUNDLE`, packed or unpacked, or with too many entries. */
  BUNDLE_TOO_LARGE: 413,
  /** The request's content type is not one the route takes. */
  UNSUPPORTED_MEDIA_TYPE: 415,
  /** The uploaded module is neither a zip nor a tar.gz archive, or it is damaged. */
  NOT_AN_ARCHIVE: 415,
  /** The archive holds an entry that could escape its folder, or is not a file, folder or link. */
  UNSAFE_ARCHIVE: 422,
  /** An image function where no worker has a container engine. */
  NO_CONTAINER_ENGINE: 422,
  /** The function's `memoryMb` is more than any connected worker gives to its calls (`FAAS_WORKER_MEMORY_MB`). */
  NO_WORKER_FITS: 422,
  /** The `Idempotency-Key` came before, with another function or another parameter. */
  IDEMPOTENCY_KEY_REUSED: 422,
  /** The queue is full, or the user's own share of it. */
  QUEUE_FULL: 429,
  /** The user runs as many calls as it may (`FAAS_USER_CONCURRENCY`). */
  TOO_MANY_CALLS: 429,
  /** Too many attempts to log in. */
  TOO_MANY_ATTEMPTS: 429,
  /** The user stores as many functions or bytes as it may. */
  QUOTA_EXCEEDED: 429,
  /** A fault of Panal's own; the log has the cause. */
  INTERNAL: 500,
  /** The function exited with a code other than 0, or its handler threw. */
  FUNCTION_FAILED: 502,
  /** The function's process was killed by a signal that Panal did not send. */
  FUNCTION_KILLED: 502,
  /** The function took more memory than its `memoryMb`. */
  OUT_OF_MEMORY: 502,
  /** The function's sandbox keeps more on disk than `FAAS_DISK_MB`. */
  OUT_OF_DISK: 502,
  /** The function wrote more than `FAAS_MAX_OUTPUT`. */
  OUTPUT_TOO_LARGE: 502,
  /** The function's command, or its handler, could not be started. */
  START_FAILED: 502,
  /** The runtime's `dependencies` command failed for this bundle. */
  DEPENDENCIES_FAILED: 502,
  /** The image is not known to the engine nor to its registry. */
  IMAGE_NOT_FOUND: 502,
  /** The call was cancelled. */
  CANCELLED: 502,
  /** The registry did not hand over the image; tried again. */
  IMAGE_PULL_FAILED: 503,
  /** The registry of the cluster (`FAAS_REGISTRY`) did not answer, or not as it should; tried again. */
  REGISTRY_UNAVAILABLE: 503,
  /** The bundle could not be fetched from the broker; tried again. */
  BUNDLE_UNAVAILABLE: 503,
  /** The sandbox could not be started; tried again. */
  SANDBOX_FAILED: 503,
  /** The worker was lost while it held the call; tried again. */
  WORKER_LOST: 503,
  /** The store could not write; nothing was accepted. */
  STORE_UNAVAILABLE: 503,
  /** The process is stopping and takes nothing more. */
  SHUTTING_DOWN: 503,
  /** The function ran past its `timeoutMs`. */
  TIMEOUT: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** The body of every error, but on routes that have a shape of their own. */
export const errorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string() }),
});

/** Why a call failed. */
export const callErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  detail: z.string().optional().describe('The last 4 KiB of the logs of the call, if it has any.'),
});

/** The body of the answer for a call that failed. */
export const failedCallSchema = z.object({ error: callErrorSchema });

/** What the body of an error looks like. */
export interface ErrorShape {
  /** Name of its schema in the OpenAPI document. */
  name: string;
  schema: z.ZodType;
  body: (error: { code: ErrorCode; message: string }) => unknown;
}

/** The shape of errors, unless a route has its own. */
export const PANAL_ERRORS: ErrorShape = {
  name: 'Error',
  schema: errorSchema,
  body: ({ code, message }) => ({ error: { code, message } }),
};
