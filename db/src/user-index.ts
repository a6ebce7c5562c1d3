import { CALL_STATUSES } from '@panal/protocol';
import { writesOfNoTally } from './call-retention.js';
import type { Write } from './group-commit.js';
import { keyOf, under, type Range } from './keys.js';

const NOTHING = Buffer.alloc(0);

/** The notes of users who are gone, but not yet all that they owned. */
export const LEAVING_USERS = under(keyOf('leaving-user'));

export const noteOfLeaving = (name: string): string => keyOf('leaving-user', name);

/** What takes a user away, and notes that what it owned is to be removed; with `gone`, that this is done. */
export function writesOfLeaving(name: string, { gone = false } = {}): Write[] {
  const note = noteOfLeaving(name);
  if (gone) return [...writesOfNoTally(name), [note, undefined]];
  return [
    [keyOf('user', name), undefined],
    [note, NOTHING],
  ];
}

/** All keys of an owner, but those of its functions and versions. */
export function rangesOfOwner(owner: string): Range[] {
  return [
    // Entries before what they stand for: what is found through an entry is there.
    under(keyOf('runtime-image', owner)),
    under(keyOf('runtime', owner)),
    ...CALL_STATUSES.map((status) => under(keyOf('call-by-status', status, owner))),
    under(keyOf('call-by-function', owner)),
    under(keyOf('call', owner)),
    under(keyOf('call-part', owner)),
    under(keyOf('call-key', owner)),
  ];
}
