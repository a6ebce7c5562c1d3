import type { CallRecord, CallStore, VersionRecord } from '@panal/db';
import type { CallError } from '@panal/protocol';
import { ActiveCall } from './active-call.js';

/**
 * The calls that an earlier run left unsettled, oldest first. One whose version is gone can never run: it is settled.
 * @param options.run this run
 * @param options.versionOf finds the version that a call was accepted with
 * @param options.settle stores a settled call
 */
export async function* leftCalls(
  store: CallStore,
  {
    run,
    versionOf,
    settle,
  }: {
    run: string | undefined;
    versionOf: (record: CallRecord) => Promise<VersionRecord | undefined>;
    settle: (call: CallRecord) => Promise<void>;
  },
): AsyncGenerator<ActiveCall> {
  const versions = new Map<string, VersionRecord | undefined>();
  for await (const record of store.unsettledCalls((of) => run === undefined || of !== run)) {
    if (!versions.has(record.functionId)) versions.set(record.functionId, await versionOf(record));
    const version = versions.get(record.functionId);
    if (version === undefined) {
      const error: CallError = { code: 'FUNCTION_NOT_FOUND', message: `${record.funcName} was deleted` };
      await settle({ ...record, status: 'DEAD', error, settledAt: Date.now() });
      continue;
    }
    const call = new ActiveCall(record, version);
    if (call.hasLongParts) {
      // As an earlier version of Panal stored it: whole. It is not kept in memory like that.
      await store.updateCall(record);
      call.dropParams();
      call.dropLogs();
    }
    call.queued();
    yield call;
  }
}
