import type { CallRecord, VersionRecord } from '@panal/db';

/** Who counts what becomes of calls. Its methods are quick, and do not throw. */
export interface CallObserver {
  accepted(): void;
  /** An attempt ended, and another one follows. */
  retried(): void;
  /** The call has ended, as the record says. */
  settled(call: CallRecord, version: VersionRecord): void;
  /** A call was accepted that is not any more: it could not be stored, or its owner was deleted. */
  forgotten(): void;
}

/** Counts nothing. */
export const NOBODY_COUNTS: CallObserver = {
  accepted: () => undefined,
  retried: () => undefined,
  settled: () => undefined,
  forgotten: () => undefined,
};
