import type { IncomingMessage } from 'node:http';
import { PanalError } from '@panal/protocol';

/** A fragment, or a backslash in a target that begins with a scheme. */
const READ_AS_ANOTHER = /#|^[^/][^?]*\\/;

/**
 * Refuses a request whose target is not the path that it is routed by: the parser of URLs cuts a fragment off, and takes
 * a backslash for a slash. A proxy with rules for paths may have read the same target in another way.
 * @throws PanalError INVALID_REQUEST
 */
export function refuseAmbiguousTarget({ url = '' }: IncomingMessage): void {
  if (READ_AS_ANOTHER.test(url)) {
    throw new PanalError('INVALID_REQUEST', "the request's target has a fragment or a backslash");
  }
}
