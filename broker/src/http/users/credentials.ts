import type { IncomingMessage } from 'node:http';
import { PanalError } from '@panal/protocol';

/** What a request says of who sends it. */
export type Credentials =
  { scheme: 'basic'; name: string; password: string } | { scheme: 'bearer'; token: string };

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** `b64token` of RFC 6750, 2.1. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads the `Authorization` header: Basic (RFC 7617, in UTF-8) or Bearer (RFC 6750).
 * @returns `undefined` where there is none
 * @throws PanalError UNAUTHORIZED where it is of another kind or malformed, INVALID_REQUEST where there are several
 */
export function credentialsOf(request: IncomingMessage): Credentials | undefined {
  const header = request.headers.authorization;
  if (header === undefined) return undefined;
  // Node.js shows the first of several; a proxy before it may have looked at another one.
  if ((request.headersDistinct.authorization?.length ?? 0) > 1) {
    throw new PanalError('INVALID_REQUEST', 'there are several Authorization headers');
  }
  const [, scheme = '', value = ''] = /^([^ ]*) *(.*)$/.exec(header) ?? [];
  switch (scheme.toLowerCase()) {
    case 'basic':
      return basic(value);
    case 'bearer':
      if (!BEARER_TOKEN.test(value)) throw refused('the Bearer token is malformed');
      return { scheme: 'bearer', token: value };
    default:
      throw refused('Authorization must be Basic or Bearer');
  }
}

function basic(value: string): Credentials {
  if (value === '' || !BASE64.test(value)) throw refused('the Basic credentials are not base64');
  const text = decode(Buffer.from(value, 'base64'));
  const colon = text.indexOf(':');
  if (colon < 0) throw refused('the Basic credentials have no colon between name and password');
  return { scheme: 'basic', name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new PanalError('UNAUTHORIZED', 'the Basic credentials are not UTF-8', { cause });
  }
}

const refused = (message: string): PanalError => new PanalError('UNAUTHORIZED', message);
