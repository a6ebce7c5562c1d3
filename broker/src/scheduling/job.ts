import type { FunctionSpec, InputKind } from '@panal/protocol';

/** One attempt of a call that waits for a mini-worker, or runs on one. */
export interface Job {
  readonly callNum: number;
  readonly attempt: number;
  /** When the call was accepted, epoch ms. */
  readonly acceptedAt: number;
  readonly spec: FunctionSpec;
  /** Most calls of this function at once in the cluster. */
  readonly maxConcurrency: number;
  readonly input: InputKind;
  /** Nothing if it is `apart`. */
  readonly params: Uint8Array;
  /** The parameter is not in memory: it is read from the store when the attempt goes to a worker. */
  readonly apart?: boolean;
}
