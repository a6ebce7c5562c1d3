import { z } from 'zod';
import { actingUser } from '../routing/context.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';
import { isoTime } from '../routing/time.js';

/** Simply: only who can read the mail knows whether there is such an address. */
const EMAIL = /^[^\s@]+@[^\s@]+$/;

const registration = z.strictObject({
  email: z.string().regex(EMAIL, 'must be an e-mail address').describe('At most 254 characters.'),
  password: z.string().describe('1 to 1024 bytes.'),
});

const login = z.strictObject({
  email: z.string().describe('Or any other name of a user.'),
  password: z.string(),
});

const passwordChange = z.strictObject({
  password: z.string().describe('The present one.'),
  newPassword: z.string().describe('1 to 1024 bytes.'),
});

const user = z.strictObject({ email: z.string(), createdAt: z.iso.datetime() });
const issued = z.strictObject({ token: z.string(), expiresAt: z.iso.datetime() });
const deleted = z.strictObject({ deleted: z.literal(true) });
const changed = z.strictObject({ changed: z.literal(true) });
const revoked = z.strictObject({ revoked: z.literal(true) });
const verified = z.strictObject({ user: z.string() });

export const userRoutes = ({ users, clientAddress, registrations }: Services): Route[] => [
  route({
    method: 'POST',
    path: '/users',
    summary: 'Register a user',
    access: 'anyone',
    body: registration,
    answers: { 201: { description: 'Registered', json: user } },
    errors: ['ALREADY_EXISTS', 'TOO_MANY_ATTEMPTS', 'STORE_UNAVAILABLE'],
    async handle(ctx, { body: { email, password } }) {
      registrations.take(clientAddress(ctx.req));
      ctx.status = 201;
      ctx.body = toView(await users.register(email, password));
    },
  }),
  route({
    method: 'POST',
    path: '/users/token',
    onFullDisk: true,
    summary: 'Get a token; the same one while it is valid',
    access: 'anyone',
    body: login,
    answers: { 200: { description: 'The token', json: issued } },
    errors: ['UNAUTHORIZED', 'TOO_MANY_ATTEMPTS', 'STORE_UNAVAILABLE'],
    async handle(ctx, { body: { email, password } }) {
      const { token, expiresAt } = await users.issueToken(email, password, clientAddress(ctx.req));
      ctx.set('Cache-Control', 'no-store');
      ctx.body = { token, expiresAt: isoTime(expiresAt) } satisfies z.infer<typeof issued>;
    },
  }),
  route({
    method: 'GET',
    path: '/users/me',
    summary: 'Who one is',
    access: 'user',
    answers: { 200: { description: 'The user', json: user } },
    handle(ctx) {
      ctx.body = toView(actingUser(ctx).record);
    },
  }),
  route({
    method: 'DELETE',
    path: '/users/me',
    summary: 'Delete oneself with all that one owns; calls are stopped',
    access: 'user',
    answers: { 200: { description: 'Deleted', json: deleted } },
    errors: ['STORE_UNAVAILABLE'],
    async handle(ctx) {
      const { record, leave } = actingUser(ctx);
      // Whoever acts as the user is waited for; this very request must not be.
      leave();
      await users.delete(record);
      ctx.body = { deleted: true } satisfies z.infer<typeof deleted>;
    },
  }),
  route({
    method: 'PUT',
    path: '/users/me/password',
    summary: 'Change the password; the token is revoked, and the old password is refused at once',
    access: 'user',
    body: passwordChange,
    answers: { 200: { description: 'Changed', json: changed } },
    errors: ['STORE_UNAVAILABLE'],
    async handle(ctx, { body }) {
      await users.changePassword(actingUser(ctx).record, body, clientAddress(ctx.req));
      ctx.body = { changed: true } satisfies z.infer<typeof changed>;
    },
  }),
  route({
    method: 'DELETE',
    path: '/users/me/tokens',
    summary: 'Revoke every token of oneself',
    access: 'user',
    answers: { 200: { description: 'Revoked', json: revoked } },
    errors: ['STORE_UNAVAILABLE'],
    async handle(ctx) {
      await users.revokeTokens(actingUser(ctx).record);
      ctx.body = { revoked: true } satisfies z.infer<typeof revoked>;
    },
  }),
  route({
    method: 'GET',
    path: '/auth/verify',
    summary: 'Whether the credentials are right, for a proxy that guards other services (forward auth)',
    access: 'user',
    answers: {
      200: {
        description: 'They are',
        json: verified,
        headers: { 'X-Faas-User': "The user's name; what is not visible ASCII, and `%`, percent-encoded." },
      },
    },
    handle(ctx) {
      const { name } = actingUser(ctx).record;
      ctx.set('X-Faas-User', headerText(name));
      ctx.set('Cache-Control', 'no-store');
      ctx.body = { user: name } satisfies z.infer<typeof verified>;
    },
  }),
];

const toView = ({ name, createdAt }: { name: string; createdAt: number }): z.infer<typeof user> => ({
  email: name,
  createdAt: isoTime(createdAt),
});

/** Text as a header can carry it. A user's name is well-formed Unicode. */
const headerText = (text: string): string => text.replace(/[^\x21-\x24\x26-\x7e]+/g, encodeURIComponent);
