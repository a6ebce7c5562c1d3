import type { ErrorCode, JsonDocument } from '@panal/protocol';
import { z } from 'zod';
import type { JsonReader } from './body.js';
import type { Context } from './context.js';
import type { ErrorShape } from './errors.js';
import type { Access } from '../users/identify.js';
import { parse } from './parse.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** One answer of a route, for its description. */
export interface Answer {
  description: string;
  /** Schema of a JSON answer. */
  json?: z.ZodType;
  /** Media types of an answer that is not JSON. */
  types?: readonly string[];
  headers?: Readonly<Record<string, string>>;
}

/** What stands of a route in the API's description. */
export interface RouteDescription {
  method: Method;
  /** With parameters as `:name`. */
  path: string;
  summary: string;
  /** Who may use it; `owner` by default. */
  access?: Access;
  params?: z.ZodObject;
  query?: z.ZodObject;
  /** Headers that it heeds, with what they do. */
  headers?: Readonly<Record<string, string>>;
  /** Schema of the JSON body. */
  body?: z.ZodType;
  /** Whether it is served also where the disk is full: it reads, or gives room back. */
  onFullDisk?: boolean;
  /** A body that the route reads itself, by its media type. */
  rawBody?: { type: string; schema: z.ZodType };
  answers: Readonly<Record<number, Answer>>;
  /** Beyond those that its parameters and body bring with them. */
  errors?: readonly ErrorCode[];
  /** How errors are told, where that is not as everywhere. */
  errorShape?: ErrorShape;
}

/** A route: the router and the API's description are both made from it. */
export interface Route extends RouteDescription {
  /** Answers a request. */
  serve: (ctx: Context, json: JsonReader) => Promise<void>;
}

interface Input<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  params: z.output<P>;
  query: z.output<Q>;
  body: z.output<B>;
  /** The members of the JSON body as they are written. */
  members: JsonDocument['members'];
}

type Typed<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType> = RouteDescription & {
  params?: P;
  query?: Q;
  body?: B;
  handle: (ctx: Context, input: Input<P, Q, B>) => Promise<void> | void;
};

const nothing = z.strictObject({});
const NO_BODY: JsonDocument = { value: undefined, members: new Map() };

/** Declares a route whose `handle` gets its parameters, query and JSON body checked and typed by their schemas. */
export function route<
  P extends z.ZodObject = typeof nothing,
  Q extends z.ZodObject = typeof nothing,
  B extends z.ZodType = z.ZodUndefined,
>({ handle, ...description }: Typed<P, Q, B>): Route {
  const { params = nothing, query = nothing, body } = description;
  // Most requests have no query, and what to make of that need not be found out for each.
  const noQuery = query.safeParse({}).data;
  return {
    ...description,
    async serve(ctx, json) {
      const checked = {
        params: parse(params, ctx.params) as z.output<P>,
        query: (noQuery !== undefined && ctx.querystring === ''
          ? noQuery
          : parse(query, ctx.query)) as z.output<Q>,
      };
      const { value, members } = body === undefined ? NO_BODY : await json.read(ctx);
      await handle(ctx, { ...checked, body: (body && parse(body, value)) as z.output<B>, members });
    },
  };
}
