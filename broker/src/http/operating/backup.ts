import { createHash, timingSafeEqual } from 'node:crypto';
import { routes } from '@panal/api';
import { PanalError } from '@panal/protocol';
import type { Context } from '../routing/context.js';
import { credentialsOf } from '../users/credentials.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

export const backupRoutes = ({ backups, operatorToken }: Services): Route[] => [
  route(routes.backup, async (ctx) => {
    admitOperator(ctx, operatorToken);
    const backup = await backups.begin();
    ctx.set('Content-Type', 'application/x-tar');
    ctx.set('Cache-Control', 'no-store');
    ctx.body = backup;
  }),
];

/** @throws PanalError UNAUTHORIZED unless the operator asks, FORBIDDEN where there is none */
function admitOperator(ctx: Context, token: string | undefined): void {
  const credentials = credentialsOf(ctx.req);
  if (credentials?.scheme !== 'bearer') {
    throw new PanalError('UNAUTHORIZED', "the operator's token is needed, as Bearer");
  }
  if (token === undefined) {
    throw new PanalError('FORBIDDEN', 'this broker has no operator; set FAAS_OPERATOR_TOKEN');
  }
  // Of the same length, however long what was shown is.
  const [shown, right] = [credentials.token, token].map((each) => createHash('sha256').update(each).digest());
  if (shown === undefined || right === undefined || !timingSafeEqual(shown, right)) {
    throw new PanalError('UNAUTHORIZED', "this is not the operator's token");
  }
}
