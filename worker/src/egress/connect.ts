import { once } from 'node:events';
import { request } from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import type { EgressPolicy, Target } from './policy.js';

/** How long a connection may take to be made, in ms. */
const CONNECT_WITHIN_MS = 30_000;

/** An HTTP proxy that leads on. */
export interface Upstream {
  host: string;
  port: number;
  /** Value of `Proxy-Authorization`. */
  authorization: string | undefined;
  /** Whether a user named it, and not the operator: it has to be one that may be reached. */
  checked: boolean;
}

/** An address of a proxy that cannot be used. */
export class BadProxy extends Error {}

/**
 * The proxy at `url`. A URL without a scheme is one of `http://`, as for most programs.
 * @throws BadProxy, which does not repeat the URL: it may have a password
 */
export function upstreamOf(url: string, checked: boolean): Upstream {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `http://${url}`;
  const parsed = URL.canParse(whole) ? new URL(whole) : undefined;
  if (parsed?.protocol !== 'http:')
    throw new BadProxy('must be of the form http://[USER:PASSWORD@]HOST[:PORT]');
  const { hostname, port, username, password } = parsed;
  const credentials = `${decoded(username)}:${decoded(password)}`;
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 80),
    authorization: username === '' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
    checked,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new BadProxy('has a user name or password with a % that encodes nothing');
  }
}

/** `target` as an authority of a URL. */
export const authorityOf = ({ host, port }: Target): string =>
  `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/** Connects to `target`, at an address that was checked. @throws Refused */
export async function connectTo(target: Target, policy: EgressPolicy): Promise<Socket> {
  const addresses = await policy.addressesOf(target);
  return await connected(
    connect({
      // Looked up by what follows, also where it is an address.
      host: 'checked.invalid',
      port: target.port,
      autoSelectFamily: true,
      lookup: (_, __, found) =>
        found(
          null,
          addresses.map((address) => ({ address, family: isIP(address) })),
        ),
    }),
  );
}

/** Connects to `upstream` itself. @throws Refused where it may not be reached */
export async function connectToUpstream(upstream: Upstream, policy: EgressPolicy): Promise<Socket> {
  if (upstream.checked) return await connectTo(upstream, policy);
  return await connected(connect({ host: upstream.host, port: upstream.port }));
}

/**
 * Connects to `target` through `upstream`, which looks the name up itself: what it leads to is its operator's to
 * limit, but for hosts that are refused by their name, or by the addresses that they have here.
 * @throws Refused
 */
export async function connectThrough(
  target: Target,
  upstream: Upstream,
  policy: EgressPolicy,
): Promise<Socket> {
  await checkTarget(target, policy);
  const socket = await connectToUpstream(upstream, policy);
  try {
    await asked(socket, target, upstream);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Asks the proxy at the other end of `socket` to connect it to `target`. */
async function asked(socket: Socket, target: Target, upstream: Upstream): Promise<void> {
  const authority = authorityOf(target);
  const signal = AbortSignal.timeout(CONNECT_WITHIN_MS);
  const asking = request({
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...authorization(upstream) },
    createConnection: () => socket,
    signal,
  });
  await new Promise<void>((resolve, reject) => {
    asking.on('error', reject);
    asking.on('connect', ({ statusCode }, _, head) => {
      if (head.length > 0) socket.unshift(head);
      if (statusCode === 200) resolve();
      else reject(new Error(`the proxy answered ${statusCode} to CONNECT ${authority}`));
    });
    asking.end();
  });
}

export const authorization = (upstream: Upstream): Record<string, string> =>
  upstream.authorization === undefined ? {} : { 'proxy-authorization': upstream.authorization };

/** Where only the upstream knows a name, it is the upstream's to decide. */
export async function checkTarget(target: Target, policy: EgressPolicy): Promise<void> {
  await policy.addressesOf(target).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOTFOUND')) throw error;
  });
}

async function connected(socket: Socket): Promise<Socket> {
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
