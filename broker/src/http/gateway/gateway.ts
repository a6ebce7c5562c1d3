import { routes, type AnswerJson } from '@panal/api';
import type { CallRecord } from '@panal/db';
import { PanalError, type ErrorCode } from '@panal/protocol';
import { Tally } from '../../calls/tally.js';
import { abandon, endOfCall } from '../calls/awaited-call.js';
import { jsonInput } from '../calls/call-input.js';
import { credentialsOf } from '../users/credentials.js';
import { idempotencyKey } from '../calls/keyed-call.js';
import { answerJson } from '../calls/answer-json.js';
import { acceptAwaited, type AnswerCall } from '../calls/waiting-client.js';
import { answerWhole } from '../calls/whole-call.js';
import type { Context } from '../routing/context.js';
import { route, waitingRoute, type Input, type Rest, type Route } from '../routing/route.js';
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
    waitingRoute(routes.gatewayActivate, activate),
  ];
};

type Activate = (ctx: Context, input: Input<typeof routes.gatewayActivate>) => Promise<Rest>;

/** Answers `/functions/activate`. */
function activator(services: Services): Activate {
  const { calls, gateway } = services;
  // A call counts as running only once a worker has begun it; those that came just now are counted here.
  const waiting = new Tally();

  return async (ctx, { body: { functionName }, members, query }) => {
    const { owner } = ctx.state;
    const key = idempotencyKey(ctx);
    const onDisconnect = query.onDisconnect ?? (key === undefined ? 'cancel' : 'keep');
    const busy = Math.max(calls.runningOf(owner), waiting.of(owner));
    if (busy >= gateway.concurrency(owner)) {
      throw new PanalError('TOO_MANY_CALLS', `${busy} of your calls run already (FAAS_USER_CONCURRENCY)`, {
        retryAfter: 1,
      });
    }
    const leave = countIn(waiting, owner);
    const answer = answerActivation(services, ctx, onDisconnect, leave);
    const input = jsonInput(members.get('parameter'));
    try {
      return await saying('FUNCTION_NOT_FOUND', UNKNOWN_FUNCTION, () =>
        acceptAwaited(services, ctx, { funcName: functionName, input, key, awaited: true }, answer),
      );
    } catch (error) {
      leave();
      throw error;
    }
  };
}

/** Counts one more; what it returns takes that back. */
function countIn(tally: Tally, owner: string): () => void {
  tally.add(owner, 1);
  return () => tally.add(owner, -1);
}

/** Waits for the end of the call, and answers with its result. */
function answerActivation(
  services: Services,
  ctx: Context,
  onDisconnect: 'cancel' | 'keep',
  leave: () => void,
): AnswerCall {
  return (call) => {
    ctx.set('X-Call-Num', String(call.callNum));
    return endOfCall(services, ctx, call, services.gateway.waitMs, onDisconnect)
      .then((settled) => {
        // Its result is for nobody any more.
        if (settled === undefined && onDisconnect !== 'keep') abandon(services, call);
        return answerWhole(services, ctx, settled, (whole) => {
          const answer = { result: resultOf(whole), status: 'success' } as const;
          answerJson(ctx, JSON.stringify(answer satisfies AnswerJson<typeof routes.gatewayActivate>));
        });
      })
      .finally(leave);
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
