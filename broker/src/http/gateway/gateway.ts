import { routes, type AnswerJson } from '@panal/api';
import type { CallRecord } from '@panal/db';
import { PanalError, type ErrorCode } from '@panal/protocol';
import { abandon, endOfCall } from '../calls/awaited-call.js';
import { jsonInput } from '../calls/call-input.js';
import { credentialsOf } from '../users/credentials.js';
import { callOf, idempotencyKey } from '../calls/keyed-call.js';
import type { Context } from '../routing/context.js';
import { route, type Input, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

/** The gateway of an earlier design, with its sentences. Unknown fields are ignored. */

const UNKNOWN_FUNCTION = 'función no encontrada';

export const gatewayRoutes = (services: Services): Route[] => {
  const { users, functions, clientAddress, registrations } = services;
  const activate = activator(services);
  return [
    route(routes.gatewayRegister, async (ctx) => {
      const credentials = credentialsOf(ctx.req);
      if (credentials?.scheme !== 'basic') {
        throw new PanalError('UNAUTHORIZED', 'Basic credentials are needed: name and password of the user');
      }
      registrations.take(clientAddress(ctx.req));
      await saying('ALREADY_EXISTS', 'El usuario ya existe', () =>
        users.register(credentials.name, credentials.password),
      );
      ctx.body = done('Usuario registrado exitosamente');
    }),
    route(routes.gatewayRegisterFunction, async (ctx, { body: { functionName, dockerImage } }) => {
      await saying('ALREADY_EXISTS', 'la función ya está registrada', () =>
        functions.registerImage(ctx.state.owner, functionName, dockerImage, {}, { onlyNew: true }),
      );
      ctx.body = done('Función registrada exitosamente');
    }),
    route(routes.gatewayDeregisterFunction, async (ctx, { body: { functionName } }) => {
      await saying('FUNCTION_NOT_FOUND', UNKNOWN_FUNCTION, () =>
        functions.delete(ctx.state.owner, functionName),
      );
      ctx.body = done('Función eliminada exitosamente');
    }),
    route(routes.gatewayActivate, activate),
  ];
};

type Activate = (ctx: Context, input: Input<typeof routes.gatewayActivate>) => Promise<void>;

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
      ctx.body = { result: resultOf(settled), status: 'success' } satisfies AnswerJson<
        typeof routes.gatewayActivate
      >;
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

const done = (message: string): AnswerJson<typeof routes.gatewayRegister> => ({ message, status: 'success' });

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
