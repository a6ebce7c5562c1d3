import type { BundleFormat } from '@panal/protocol';
import { detectFormat } from './format.js';
import type { BundleLimits } from './limits.js';
import { walk, type Totals } from './walk.js';

export interface BundleInfo extends Totals {
  format: BundleFormat;
}

/**
 * Reads the whole archive at `path` and says what it is, so that whatever would stop `unpack` is found at once.
 * @param onRoot is told the names of the files and links at the root
 * @throws PanalError `NOT_AN_ARCHIVE` where it is none, damaged or empty; `UNSAFE_ARCHIVE`, naming the entry, where
 * something in it could leave its folder, is no file, folder or link, or is there twice; `BUNDLE_TOO_LARGE`;
 * `INVALID_REQUEST` where code that `begins` in a file at the root is in a folder.
 */
export async function inspect(
  path: string,
  limits: BundleLimits,
  begins?: (name: string) => boolean,
  onRoot?: (files: readonly string[]) => void,
): Promise<BundleInfo> {
  const format = await detectFormat(path);
  const steps = walk(path, format, limits, begins, onRoot);
  let step = await steps.next();
  while (step.done !== true) step = await steps.next();
  return { format, ...step.value };
}
