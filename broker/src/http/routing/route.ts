import type { RouteDescription } from '@panal/api';
import type { JsonDocument } from '@panal/protocol';
import { z } from 'zod';
import type { JsonReader } from './body.js';
import type { Context } from './context.js';
import { parse } from './parse.js';

/**
 * What is left to do for a request when it has no more use for its body: to wait, for one. A closure that does not refer
 * to the body, so that it does not stay in memory meanwhile.
 */
export type Rest = () => Promise<void>;

export const NOTHING_LEFT: Rest = () => Promise.resolve();

/** A route of the API, and what serves it. */
export interface Route extends RouteDescription {
  /** Whether its answers may be large: they are made in turns of their owners. */
  inTurn?: true;
  /** Answers a request, but for the rest. */
  serve: (ctx: Context, json: JsonReader) => Promise<Rest>;
}

/** What a request has for its route, checked by the schemas of the route. */
export interface Input<D extends RouteDescription> {
  params: D extends { params: infer P extends z.ZodType } ? z.output<P> : object;
  query: D extends { query: infer Q extends z.ZodType } ? z.output<Q> : object;
  body: D extends { body: infer B extends z.ZodType } ? z.output<B> : undefined;
  /** The members of the JSON body as they are written. */
  members: JsonDocument['members'];
}

const nothing = z.strictObject({});
const NO_BODY: JsonDocument = { value: undefined, members: new Map() };

/** Serves a route of the API: `handle` gets its parameters, query and JSON body checked and typed by their schemas. */
export function route<D extends RouteDescription>(
  description: D,
  handle: (ctx: Context, input: Input<D>) => Promise<void> | void,
): Route {
  return waitingRoute(description, async (ctx, input) => {
    await handle(ctx, input);
    return NOTHING_LEFT;
  });
}

/** The same for a route whose answers may be large. */
export function inTurn<D extends RouteDescription>(
  description: D,
  handle: (ctx: Context, input: Input<D>) => Promise<void> | void,
): Route {
  return { ...route(description, handle), inTurn: true };
}

/** The same for a route that waits for something once it has no more use for the body: `handle` gives what does so. */
export function waitingRoute<D extends RouteDescription>(
  description: D,
  handle: (ctx: Context, input: Input<D>) => Promise<Rest>,
): Route {
  const { params = nothing, query = nothing, body }: RouteDescription = description;
  // Most requests have no query, and what to make of that need not be found out for each.
  const noQuery = query.safeParse({}).data;
  const inputOf = async (ctx: Context, json: JsonReader): Promise<Input<D>> => {
    const checked = {
      params: parse(params, ctx.params),
      query: noQuery !== undefined && ctx.querystring === '' ? noQuery : parse(query, ctx.query),
    };
    const { value, members } = body === undefined ? NO_BODY : await json.read(ctx);
    return { ...checked, body: body && parse(body, value), members } as Input<D>;
  };
  return {
    ...description,
    // Not `await`: an async function keeps its variables, here the body, for as long as it waits.
    serve: (ctx, json) => inputOf(ctx, json).then((input) => handle(ctx, input)),
  };
}
