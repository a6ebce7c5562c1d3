import type { CallRecord } from '@panal/db';
import { PanalError, type ErrorCode } from '@panal/protocol';
import { z } from 'zod';
import { imageSchema, nameSchema } from '../../functions/fields.js';
import { abandon, endOfCall, onDisconnectSchema } from '../calls/awaited-call.js';
import { jsonInput } from '../calls/call-input.js';
import { credentialsOf } from '../users/credentials.js';
import type { ErrorShape } from '../routing/errors.js';
import {
  callOf,
  IDEMPOTENCY_KEY,
  IDEMPOTENT_REPLAYED,
  idempotencyKey,
  CALL_ERRORS,
} from '../calls/keyed-call.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

/** The gateway of an earlier design, with its sentences. Unknown fields are ignored. */

const success = z.object({ message: z.string(), status: z.literal('success') });
const activated = z.object({ result: z.string(), status: z.literal('success') });

/** The body of every error on these routes. */
const gatewayErrors: ErrorShape = {
  name: 'GatewayError',
  schema: z.object({ message: z.string(), status: z.literal('error') }),
  body: ({ message }) => ({ message, status: 'error' }),
};

const UNKNOWN_FUNCTION = 'función no encontrada';

const anyQuery = z.object({});
const byName = z.object({ functionName: nameSchema });
const registration = byName.extend({ dockerImage: imageSchema });
const activation = byName.extend({
  parameter: z.string().optional().describe('Given to the function as it is.'),
});

export const gatewayRoutes = (services: Services): Route[] => {
  const { users, functions, clientAddress, registrations } = services;
  const activate = activator(services);
  return [
    route({
      method: 'POST',
      path: '/register',
      summary: 'Register the user whose Basic credentials these are',
      access: 'anyone',
      query: anyQuery,
      headers: { Authorization: 'Basic credentials: name and password of the new user.' },
      answers: { 200: { description: 'Registered', json: success } },
      errors: ['UNAUTHORIZED', 'ALREADY_EXISTS', 'TOO_MANY_ATTEMPTS', 'STORE_UNAVAILABLE'],
      errorShape: gatewayErrors,
      async handle(ctx) {
        const credentials = credentialsOf(ctx.req);
        if (credentials?.scheme !== 'basic') {
          throw new PanalError('UNAUTHORIZED', 'Basic credentials are needed: name and password of the user');
        }
        registrations.take(clientAddress(ctx.req));
        await saying('ALREADY_EXISTS', 'El usuario ya existe', () =>
          users.register(credentials.name, credentials.password),
        );
        ctx.body = done('Usuario registrado exitosamente');
      },
    }),
    route({
      method: 'POST',
      path: '/functions/register',
      summary: 'Register an image as a function that is not there yet',
      access: 'user',
      query: anyQuery,
      body: registration,
      answers: { 200: { description: 'Registered', json: success } },
      errors: ['ALREADY_EXISTS', 'NO_CONTAINER_ENGINE', 'QUOTA_EXCEEDED', 'STORE_UNAVAILABLE'],
      errorShape: gatewayErrors,
      async handle(ctx, { body: { functionName, dockerImage } }) {
        await saying('ALREADY_EXISTS', 'la función ya está registrada', () =>
          functions.registerImage(ctx.state.owner, functionName, dockerImage, {}, { onlyNew: true }),
        );
        ctx.body = done('Función registrada exitosamente');
      },
    }),
    route({
      method: 'POST',
      path: '/functions/deregister',
      summary: 'Delete a function',
      onFullDisk: true,
      access: 'user',
      query: anyQuery,
      body: byName,
      answers: { 200: { description: 'Deleted', json: success } },
      errors: ['FUNCTION_NOT_FOUND', 'STORE_UNAVAILABLE'],
      errorShape: gatewayErrors,
      async handle(ctx, { body: { functionName } }) {
        await saying('FUNCTION_NOT_FOUND', UNKNOWN_FUNCTION, () =>
          functions.delete(ctx.state.owner, functionName),
        );
        ctx.body = done('Función eliminada exitosamente');
      },
    }),
    route({
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
      errorShape: gatewayErrors,
      handle: activate,
    }),
  ];
};

type Activate = (
  ctx: Parameters<typeof endOfCall>[1],
  input: {
    body: z.infer<typeof activation>;
    members: ReadonlyMap<string, string>;
    query: { onDisconnect?: 'cancel' | 'keep' | undefined };
  },
) => Promise<void>;

/** Answers `/functions/activate`. */
function activator(services: Services): Activate {
  const { calls, gateway, log } = services;
  // A call counts as running only once a worker has begun it; those that came just now are counted here.
  const waiting = new Map<string, number>();
  const count = (owner: string, change: 1 | -1): void => {
    const now = (waiting.get(owner) ?? 0) + change;
    if (now === 0) waiting.delete(owner);
    else waiting.set(owner, now);
  };

  return async (ctx, { body: { functionName }, members, query }) => {
    const { owner } = ctx.state;
    const key = idempotencyKey(ctx);
    const onDisconnect = query.onDisconnect ?? (key === undefined ? 'cancel' : 'keep');
    const busy = Math.max(calls.runningOf(owner), waiting.get(owner) ?? 0);
    if (busy >= gateway.concurrency(owner)) {
      throw new PanalError('TOO_MANY_CALLS', `${busy} of your calls run already (FAAS_USER_CONCURRENCY)`, {
        retryAfter: 1,
      });
    }
    count(owner, 1);
    try {
      const invocation = {
        funcName: functionName,
        input: jsonInput(members.get('parameter')),
        key,
        awaited: true,
      };
      const call = await saying('FUNCTION_NOT_FOUND', UNKNOWN_FUNCTION, () =>
        callOf(services, ctx, invocation),
      );
      ctx.set('X-Call-Num', String(call.callNum));
      const settled = await endOfCall({ calls, log }, ctx, call, gateway.waitMs, onDisconnect);
      // Its result is for nobody any more.
      if (settled === undefined && onDisconnect !== 'keep') abandon({ calls, log }, call);
      ctx.body = { result: resultOf(settled), status: 'success' } satisfies z.infer<typeof activated>;
    } finally {
      count(owner, -1);
    }
  };
}

/** @throws PanalError that says how the call failed: with its logs, where there are any. */
function resultOf(call: CallRecord | undefined): string {
  if (call === undefined)
    throw new PanalError('TIMEOUT', 'the function gave no answer in time (FAAS_ACTIVATE_TIMEOUT_MS)');
  if (call.status === 'DONE') return Buffer.from(call.result ?? []).toString();
  const reason = call.error?.message ?? 'the call failed';
  if (call.status === 'TIMEOUT') throw new PanalError('TIMEOUT', reason);
  const logs = Buffer.from(call.logs ?? []).toString();
  throw new PanalError('FUNCTION_FAILED', logs === '' ? reason : logs);
}

const done = (message: string): z.infer<typeof success> => ({ message, status: 'success' });

/** Does `work`; where it is refused with `code`, says so in these words. */
async function saying<T>(code: ErrorCode, message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw cause instanceof PanalError && cause.code === code
      ? new PanalError(code, message, { cause })
      : cause;
  }
}
