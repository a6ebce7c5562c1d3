import type { Access } from '@panal/api';
import { PanalError, PUBLIC_OWNER, type Config } from '@panal/protocol';
import type { UserRecord } from '@panal/db';
import type { Users } from '../../users/users.js';
import type { ClientAddress } from './client-address.js';
import type { Context } from '../routing/context.js';
import { credentialsOf } from './credentials.js';

export interface IdentifyOptions {
  users: Users;
  auth: Config['FAAS_AUTH'];
  clientAddress: ClientAddress;
}

/** Finds out on whose behalf a request acts, and lets `next` act. */
export type Identify = (ctx: Context, access: Access, next: () => Promise<void>) => Promise<void>;

/** Wrong credentials are refused also where none are needed: whoever sends them means to be somebody. */
export function identification({ users, auth, clientAddress }: IdentifyOptions): Identify {
  const whoIs = async (ctx: Context): Promise<UserRecord> => {
    const credentials = credentialsOf(ctx.req);
    if (credentials === undefined) throw new PanalError('UNAUTHORIZED', 'credentials are needed: log in');
    if (credentials.scheme === 'bearer') return await users.byToken(credentials.token);
    return await users.byPassword(credentials.name, credentials.password, clientAddress(ctx.req));
  };
  const actAsUser = async (ctx: Context, next: () => Promise<void>): Promise<void> => {
    const user = await whoIs(ctx);
    const leave = users.enter(user, () => ctx.req.socket.destroy());
    ctx.state.owner = user.name;
    ctx.state.user = { record: user, leave };
    try {
      await next();
    } finally {
      leave();
    }
  };

  return (ctx, access, next) => {
    const isPublic = access === 'owner' && auth === 'open' && ctx.req.headers.authorization === undefined;
    if (!isPublic && access !== 'anyone') return actAsUser(ctx, next);
    ctx.state.owner = PUBLIC_OWNER;
    return next();
  };
}
