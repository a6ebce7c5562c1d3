import type { Calls } from './calls/calls.js';
import type { Functions } from './functions/functions.js';
import type { Estate } from './users/estate.js';

/** Calls that wait or run, versions in memory and the sandboxes kept for them, and uploaded code. */
export function estateOf(calls: Calls, functions: Functions): Estate {
  return {
    async remove(owner) {
      calls.forgetOwner(owner);
      await functions.deleteAll(owner);
    },
  };
}
