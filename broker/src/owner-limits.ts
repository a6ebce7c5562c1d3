import { PUBLIC_OWNER, type Config } from '@panal/protocol';
import type { QuotaLimits } from './functions/quota.js';

/** What one user may take of the cluster, by the name of the owner that it is. */
export interface OwnerLimits {
  /** Calls that run at once. */
  running: (owner: string) => number;
  /** Calls that have not ended. */
  unsettled: (owner: string) => number;
  stored: (owner: string) => QuotaLimits | undefined;
}

/** The limits of users. `public` is no user, but everyone without credentials: only the limits for all hold for it. */
export function ownerLimits(config: Config): OwnerLimits {
  const isUser = (owner: string): boolean => owner !== PUBLIC_OWNER;
  const stored = { functions: config.FAAS_USER_FUNCTIONS, bytes: config.FAAS_USER_BYTES };
  return {
    running: (owner) => (isUser(owner) ? config.FAAS_USER_CONCURRENCY : Infinity),
    unsettled: (owner) => (isUser(owner) ? config.FAAS_USER_QUEUE : Infinity),
    stored: (owner) => (isUser(owner) ? stored : undefined),
  };
}
