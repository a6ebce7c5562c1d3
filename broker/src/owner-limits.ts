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

/**
 * The limits of users. `public` is no user, but everyone without credentials: calls, functions and bundles of its are not
 * counted, versions are.
 */
export function ownerLimits(config: Config): OwnerLimits {
  const isUser = (owner: string): boolean => owner !== PUBLIC_OWNER;
  const versions = config.FAAS_USER_VERSIONS;
  const stored = { functions: config.FAAS_USER_FUNCTIONS, bytes: config.FAAS_USER_BYTES, versions };
  const ofPublic = { functions: Infinity, bytes: Infinity, versions };
  return {
    running: (owner) => (isUser(owner) ? config.FAAS_USER_CONCURRENCY : Infinity),
    unsettled: (owner) => (isUser(owner) ? config.FAAS_USER_QUEUE : Infinity),
    stored: (owner) => (isUser(owner) ? stored : ofPublic),
  };
}
