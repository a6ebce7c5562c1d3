import { z } from 'zod';
import type { ErrorShape } from '../errors.js';
import { imageSchema, nameSchema } from '../fields.js';
import { onDisconnectSchema } from '../query.js';
import type { RouteDescription } from '../route.js';
import { CALL_ERRORS, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED } from './accepting.js';

const success = z.object({ message: z.string(), status: z.literal('success') });
const activated = z.object({ result: z.string(), status: z.literal('success') });

/** The body of every error on the gateway's routes. */
const GATEWAY_ERRORS: ErrorShape = {
  name: 'GatewayError',
  schema: z.object({ message: z.string(), status: z.literal('error') }),
  body: ({ message }) => ({ message, status: 'error' }),
};

const anyQuery = z.object({});
const byName = z.object({ functionName: nameSchema });
const registration = byName.extend({ dockerImage: imageSchema });
const activation = byName.extend({
  parameter: z.string().optional().describe('Given to the function as it is.'),
});

/** The gateway of an earlier design, with its sentences. Unknown fields are ignored. */
export const gatewayRoutes = {
  gatewayRegister: {
    method: 'POST',
    path: '/register',
    summary: 'Register the user whose Basic credentials these are',
    access: 'anyone',
    query: anyQuery,
    headers: { Authorization: 'Basic credentials: name and password of the new user.' },
    answers: { 200: { description: 'Registered', json: success } },
    errors: ['UNAUTHORIZED', 'ALREADY_EXISTS', 'TOO_MANY_ATTEMPTS', 'STORE_UNAVAILABLE'],
    errorShape: GATEWAY_ERRORS,
  },
  gatewayRegisterFunction: {
    method: 'POST',
    path: '/functions/register',
    summary: 'Register an image as a function that is not there yet',
    access: 'user',
    query: anyQuery,
    body: registration,
    answers: { 200: { description: 'Registered', json: success } },
    errors: ['ALREADY_EXISTS', 'NO_CONTAINER_ENGINE', 'QUOTA_EXCEEDED', 'STORE_UNAVAILABLE'],
    errorShape: GATEWAY_ERRORS,
  },
  gatewayDeregisterFunction: {
    method: 'POST',
    path: '/functions/deregister',
    summary: 'Delete a function',
    onFullDisk: true,
    access: 'user',
    query: anyQuery,
    body: byName,
    answers: { 200: { description: 'Deleted', json: success } },
    errors: ['FUNCTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
    errorShape: GATEWAY_ERRORS,
  },
  gatewayActivate: {
    method: 'POST',
    path: '/functions/activate',
    summary: 'Call a function and wait for its result; one that takes too long is cancelled',
    access: 'user',
    query: z.object({ onDisconnect: onDisconnectSchema }),
    headers: IDEMPOTENCY_KEY,
    body: activation,
    answers: {
      200: {
        description: 'The result',
        json: activated,
        headers: { 'X-Call-Num': 'Number of the call.', ...IDEMPOTENT_REPLAYED },
      },
    },
    errors: ['FUNCTION_NOT_FOUND', 'FUNCTION_FAILED', 'TIMEOUT', 'TOO_MANY_CALLS', ...CALL_ERRORS],
    errorShape: GATEWAY_ERRORS,
  },
} satisfies Record<string, RouteDescription>;
