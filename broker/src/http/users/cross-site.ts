import type { IncomingMessage } from 'node:http';
import { PanalError } from '@panal/protocol';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses what a page of another site makes a browser send. Such a page needs nobody's leave to send JSON as text, or a
 * form with a file; the browser adds the Basic credentials that it knows, and reaches a broker that listens to its own
 * machine alone. Told by Fetch Metadata, or where a browser sends none, by `Origin` (OWASP's Cross-Site Request Forgery
 * Prevention Cheat Sheet); programs send neither.
 * @throws PanalError FORBIDDEN
 */
export function refuseCrossSite({ method = '', headers }: IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  if (site === undefined && headers.origin === undefined) return;
  if (SAFE_METHODS.has(method) || site === 'same-origin' || site === 'none') return;
  if (site === undefined && hostOf(headers.origin) === headers.host?.toLowerCase()) return;
  throw new PanalError('FORBIDDEN', 'a page of another site may not do this');
}

const hostOf = (origin = ''): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined);
