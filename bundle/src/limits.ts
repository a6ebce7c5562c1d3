import { PanalError } from '@panal/protocol';

/** How much a bundle may grow when it is unpacked. */
export interface BundleLimits {
  /** Bytes of all files together (`FAAS_MAX_BUNDLE_UNPACKED`). */
  maxUnpacked: number;
  /** Entries of the archive, and files, folders and links made of them (`FAAS_MAX_BUNDLE_ENTRIES`). */
  maxEntries: number;
}

export function tooLarge(limits: BundleLimits): PanalError {
  return new PanalError(
    'BUNDLE_TOO_LARGE',
    `The bundle unpacks to more than ${limits.maxUnpacked} bytes (FAAS_MAX_BUNDLE_UNPACKED)`,
  );
}

export function tooManyEntries(limits: BundleLimits): PanalError {
  return new PanalError(
    'BUNDLE_TOO_LARGE',
    `The bundle has more than ${limits.maxEntries} entries (FAAS_MAX_BUNDLE_ENTRIES)`,
  );
}
