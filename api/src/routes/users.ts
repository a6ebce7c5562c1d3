import { z } from 'zod';
import type { RouteDescription } from '../route.js';

/** Deliberately loose: whether an address exists shows only when mail reaches it. */
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

/** A user as clients see it. */
export const userSchema = z.object({ email: z.string(), createdAt: z.iso.datetime() });
export type UserView = z.infer<typeof userSchema>;

export const tokenSchema = z.object({ token: z.string(), expiresAt: z.iso.datetime() });
export type IssuedToken = z.infer<typeof tokenSchema>;

export const userRoutes = {
  registerUser: {
    method: 'POST',
    path: '/users',
    summary: 'Register a user',
    access: 'anyone',
    body: registration,
    answers: { 201: { description: 'Registered', json: userSchema } },
    errors: ['ALREADY_EXISTS', 'TOO_MANY_ATTEMPTS', 'STORE_UNAVAILABLE'],
  },
  issueToken: {
    method: 'POST',
    path: '/users/token',
    onFullDisk: true,
    summary: 'Get a token; the same one while it is valid',
    access: 'anyone',
    body: login,
    answers: { 200: { description: 'The token', json: tokenSchema } },
    errors: ['UNAUTHORIZED', 'TOO_MANY_ATTEMPTS', 'STORE_UNAVAILABLE'],
  },
  getUser: {
    method: 'GET',
    path: '/users/me',
    summary: 'Who one is',
    access: 'user',
    answers: { 200: { description: 'The user', json: userSchema } },
  },
  deleteUser: {
    method: 'DELETE',
    path: '/users/me',
    summary: 'Delete oneself with all that one owns; calls are stopped',
    access: 'user',
    answers: { 200: { description: 'Deleted', json: z.object({ deleted: z.literal(true) }) } },
    errors: ['STORE_UNAVAILABLE'],
  },
  changePassword: {
    method: 'PUT',
    path: '/users/me/password',
    summary: 'Change the password; the token is revoked, and the old password is refused at once',
    access: 'user',
    body: passwordChange,
    answers: { 200: { description: 'Changed', json: z.object({ changed: z.literal(true) }) } },
    errors: ['STORE_UNAVAILABLE'],
  },
  revokeTokens: {
    method: 'DELETE',
    path: '/users/me/tokens',
    summary: 'Revoke every token of oneself',
    access: 'user',
    answers: { 200: { description: 'Revoked', json: z.object({ revoked: z.literal(true) }) } },
    errors: ['STORE_UNAVAILABLE'],
  },
  verifyCredentials: {
    method: 'GET',
    path: '/auth/verify',
    summary: 'Whether the credentials are right, for a proxy that guards other services (forward auth)',
    access: 'user',
    answers: {
      200: {
        description: 'They are',
        json: z.object({ user: z.string() }),
        headers: { 'X-Faas-User': "The user's name; what is not visible ASCII, and `%`, percent-encoded." },
      },
    },
  },
} satisfies Record<string, RouteDescription>;
