import type { DiskStore } from '@panal/db';
import type { Calls } from './calls/calls.js';
import type { DiskRoom } from './disk-room.js';
import type { Dispatcher } from './scheduling/dispatcher.js';

/** Why calls cannot be served now. */
export function problemsOf(parts: {
  store: DiskStore;
  room: DiskRoom;
  dispatcher: Dispatcher;
  calls: Calls;
}): string[] {
  const { store, room, dispatcher, calls } = parts;
  const { up, draining } = dispatcher.counts();
  const problems: (string | undefined)[] = [
    store.failing ? 'the store cannot write' : undefined,
    room.problem,
    up > 0 ? undefined : draining > 0 ? 'every connected worker is about to stop' : 'no worker is connected',
    calls.stopping ? 'the broker is stopping' : undefined,
  ];
  return problems.filter((problem) => problem !== undefined);
}
