import { PUBLIC_OWNER, type Config } from '@panal/protocol';
import type { QuotaLimits } from './functions/quota.js';

/** What one user may take of the cluster, by the name of the owner that it is. */
export interface OwnerLimits {
  /** Calls that run at once. */
  running: (owner: string) => number;
  /** Calls that have not ended. */
  unsettled: (owner: string) => number;
  stored: (owner: string) => QuotaLimits;
}

/** The part of the queue that `public` may fill once a user has registered: the rest is left to users. */
const PUBLIC_SHARE = 1 / 2;

/**
 * The limits of users. `public` is no user, but everyone without credentials: its functions and bundles are not counted,
 * its versions are, and once a user has registered its calls may fill half of the queue.
 * @param hasUsers whether anybody has registered; until then there is nobody to leave anything to
 */
export function ownerLimits(config: Config, hasUsers: () => boolean): OwnerLimits {
  const isUser = (owner: string): boolean => owner !== PUBLIC_OWNER;
  const versions = config.FAAS_USER_VERSIONS;
  const stored = { functions: config.FAAS_USER_FUNCTIONS, bytes: config.FAAS_USER_BYTES, versions };
  const publicQueue = Math.ceil(PUBLIC_SHARE * config.FAAS_MAX_QUEUE);
  const ofPublic = { functions: Infinity, bytes: Infinity, versions };
  return {
    running: (owner) => (isUser(owner) ? config.FAAS_USER_CONCURRENCY : Infinity),
    unsettled: (owner) => (isUser(owner) ? config.FAAS_USER_QUEUE : hasUsers() ? publicQueue : Infinity),
    stored: (owner) => (isUser(owner) ? stored : ofPublic),
  };
}
