import { CALL_STATUSES } from '@panal/protocol';
import { writesOfNoBeginning } from './call-removal.js';
import { writesOfNone } from './call-usage.js';
import type { Write } from './log/log.js';
import { keyOf, under, type Range } from './keys.js';
import type { Sum } from './sums.js';

const NOTHING = Buffer.alloc(0);

/** The notes of users who are gone, but not yet all that they owned. */
export const LEAVING_USERS = under(keyOf('leaving-user'));

export const noteOfLeaving = (name: string): string => keyOf('leaving-user', name);

/** Removes a user, and notes that what it owned has to be removed. */
export const writesOfLeaving = (name: string): Write[] => [
  [keyOf('user', name), undefined],
  [noteOfLeaving(name), NOTHING],
];

/** Notes that everything is removed that the user owned. @param calls the sum of its calls until now */
export const writesOfLeft = (name: string, calls: Sum): Write[] => [
  ...writesOfNoBeginning(name),
  ...writesOfNone(name, calls),
  [noteOfLeaving(name), undefined],
];

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
    under(keyOf('call-event', owner)),
  ];
}
