import type { RouterContext } from '@koa/router';
import type { ErrorShape } from '@panal/api';
import type { UserRecord } from '@panal/db';

/** The user on whose behalf a request acts. */
export interface ActingUser {
  record: UserRecord;
  /** Says that it acts as that user no longer. */
  leave: () => void;
}

/** What is found out about a request before its route answers it. */
export interface RequestState {
  /** On whose behalf it acts. */
  owner: string;
  /** The same, where that is a user. */
  user?: ActingUser;
  /** How errors are told on its route. */
  errorShape?: ErrorShape;
}

export type Context = RouterContext<RequestState>;

/** The user on whose behalf the request acts; on routes for users there always is one. */
export function actingUser({ state: { user } }: Context): ActingUser {
  if (user === undefined) throw new TypeError('a route for users is not declared as one');
  return user;
}

/** Tells `listener`, once, when the client goes away before its answer is written. */
export type Disconnection = (listener: () => void) => void;

/**
 * When the client of a request goes away. Not an AbortSignal: to make one takes a tenth of the time that the broker
 * spends on a hot call.
 */
export function disconnection({ res }: Context): Disconnection {
  return (listener) => {
    const closed = (): void => {
      if (!res.writableFinished) listener();
    };
    if (res.closed) closed();
    else res.once('close', closed);
  };
}
