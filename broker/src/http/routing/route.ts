import type { RouteDescription } from '@panal/api';
import type { JsonDocument } from '@panal/protocol';
import { z } from 'zod';
import type { JsonReader } from './body.js';
import type { Context } from './context.js';
import { parse } from './parse.js';

/** A route of the API, and what serves it. */
export interface Route extends RouteDescription {
  /** Answers a request. */
  serve: (ctx: Context, json: JsonReader) => Promise<void>;
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
  const { params = nothing, query = nothing, body }: RouteDescription = description;
  // Most requests have no query, and what to make of that need not be found out for each.
  const noQuery = query.safeParse({}).data;
  return {
    ...description,
    async serve(ctx, json) {
      const checked = {
        params: parse(params, ctx.params),
        query: noQuery !== undefined && ctx.querystring === '' ? noQuery : parse(query, ctx.query),
      };
      const { value, members } = body === undefined ? NO_BODY : await json.read(ctx);
      await handle(ctx, { ...checked, body: body && parse(body, value), members } as Input<D>);
    },
  };
}
