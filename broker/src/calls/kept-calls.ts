import { statfs } from 'node:fs/promises';
import type { Config } from '@panal/protocol';
import type { KeptCalls } from './retention.js';

const MiB = 1024 * 1024;

/** The default bound of all calls: this share of the disk, and at most so many bytes. */
const DISK_SHARE = 1 / 2;
const MOST_BYTES = 10_240 * MiB;
/** The default bound of one owner, as a share of the bound of all. */
const OWNER_SHARE = 1 / 2;

/**
 * Which calls the settings keep.
 * @param hasUsers whether anybody has registered. Until then there is one owner, which shares with nobody.
 */
export async function keptCalls(config: Config, hasUsers: () => boolean): Promise<KeptCalls> {
  const { FAAS_CALLS_KEEP_MB: mb, FAAS_USER_CALLS_KEEP_MB: ownerMb } = config;
  const bytes = mb === undefined ? await defaultBytes(config.FAAS_DATA_DIR) : bound(MiB * mb);
  const ownerShare = bytes && Math.floor(OWNER_SHARE * bytes);
  return {
    keepMs: bound(1000 * config.FAAS_CALLS_KEEP_S),
    newest: bound(config.FAAS_CALLS_KEEP),
    bytes,
    ownerBytes() {
      if (ownerMb !== undefined) return bound(MiB * ownerMb);
      return hasUsers() ? ownerShare : undefined;
    },
  };
}

/** 0 in a setting stands for no bound. */
const bound = (most: number): number | undefined => (most > 0 ? most : undefined);

async function defaultBytes(folder: string): Promise<number> {
  const { blocks, bsize } = await statfs(folder);
  return Math.min(MOST_BYTES, Math.floor(DISK_SHARE * blocks * bsize));
}
