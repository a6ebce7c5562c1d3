import type { Logger } from 'pino';
import type { CallObserver } from './call-observer.js';

/**
 * Logs what becomes of calls, and passes it on to `next`: one line at `debug` for each call that ended, and one at
 * `warn` if the code of its function failed. What the function wrote is in the logs of the call.
 */
export function callLog(log: Logger, next: CallObserver): CallObserver {
  return {
    accepted: () => next.accepted(),
    retried: () => next.retried(),
    forgotten: () => next.forgotten(),
    settled(call, version) {
      next.settled(call, version);
      const { callNum, owner, funcName, status, error, start, preloaded, timings, worker, attempts } = call;
      const what = { call: callNum, function: funcName, version: call.version, owner };
      if (log.isLevelEnabled('debug'))
        log.debug({ ...what, status, attempts, start, preloaded, worker, timings }, 'call ended');
      if (status === 'DONE' || status === 'CANCELLED') return;
      log.warn({ ...what, status, code: error?.code, error: error?.message }, 'a call failed');
    },
  };
}
