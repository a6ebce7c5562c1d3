import { routes, type AnswerJson, type IssuedToken, type UserView } from '@panal/api';
import { actingUser } from '../routing/context.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';

export const userRoutes = ({ users, clientAddress, registrations }: Services): Route[] => [
  route(routes.registerUser, async (ctx, { body: { email, password } }) => {
    registrations.take(clientAddress(ctx.req));
    ctx.status = 201;
    ctx.body = toView(await users.register(email, password));
  }),
  route(routes.issueToken, async (ctx, { body: { email, password } }) => {
    const { token, expiresAt } = await users.issueToken(email, password, clientAddress(ctx.req));
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { token, expiresAt: isoTime(expiresAt) } satisfies IssuedToken;
  }),
  route(routes.getUser, (ctx) => {
    ctx.body = toView(actingUser(ctx).record);
  }),
  route(routes.deleteUser, async (ctx) => {
    const { record, leave } = actingUser(ctx);
    // The deletion waits for requests that act as the user. It must not wait for this one.
    leave();
    await users.delete(record);
    ctx.body = { deleted: true } satisfies AnswerJson<typeof routes.deleteUser>;
  }),
  route(routes.changePassword, async (ctx, { body }) => {
    await users.changePassword(actingUser(ctx).record, body, clientAddress(ctx.req));
    ctx.body = { changed: true } satisfies AnswerJson<typeof routes.changePassword>;
  }),
  route(routes.revokeTokens, async (ctx) => {
    await users.revokeTokens(actingUser(ctx).record);
    ctx.body = { revoked: true } satisfies AnswerJson<typeof routes.revokeTokens>;
  }),
  route(routes.verifyCredentials, (ctx) => {
    const { name } = actingUser(ctx).record;
    ctx.set('X-Faas-User', headerText(name));
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { user: name } satisfies AnswerJson<typeof routes.verifyCredentials>;
  }),
];

const toView = ({ name, createdAt }: { name: string; createdAt: number }): UserView => ({
  email: name,
  createdAt: isoTime(createdAt),
});

/** Text as a header can carry it. A user's name is well-formed Unicode. */
const headerText = (text: string): string => text.replace(/[^\x21-\x24\x26-\x7e]+/g, encodeURIComponent);
