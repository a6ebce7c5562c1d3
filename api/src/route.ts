import type { z } from 'zod';
import type { ErrorCode, ErrorShape } from './errors.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * Who may use a route. `anyone`: credentials do not matter. `owner`: also a client without credentials, as the owner
 * `public`, unless `FAAS_AUTH` is `required`. `user`: a user only.
 */
export type Access = 'anyone' | 'owner' | 'user';

/** One answer of a route. */
export interface Answer {
  description: string;
  /** Schema of a JSON answer: not strict, so that clients accept the fields that a later broker adds. */
  json?: z.ZodType;
  /** Media types of an answer that is not JSON. */
  types?: readonly string[];
  headers?: Readonly<Record<string, string>>;
}

/** All that clients need to know of a route. */
export interface RouteDescription {
  method: Method;
  /** With parameters as `:name`. */
  path: string;
  summary: string;
  /** Default: `owner`. */
  access?: Access;
  params?: z.ZodObject;
  query?: z.ZodObject;
  /** Headers that the route reads, with what they do. */
  headers?: Readonly<Record<string, string>>;
  /** Schema of the JSON body. */
  body?: z.ZodType;
  /** Whether it is served also while the disk is full: it reads, or gives room back. */
  onFullDisk?: boolean;
  /** A body that is not JSON, by its media type. */
  rawBody?: { type: string; schema: z.ZodType };
  answers: Readonly<Record<number, Answer>>;
  /** Beyond those that follow from its parameters and body; see `errorCodes`. */
  errors?: readonly ErrorCode[];
  /** Shape of its errors; default: `PANAL_ERRORS`. */
  errorShape?: ErrorShape;
}

/** The JSON of a route's answer with status `S`. */
export type AnswerJson<D extends RouteDescription, S extends keyof D['answers'] = keyof D['answers']> = {
  [K in S]: D['answers'][K] extends { json: infer J extends z.ZodType } ? z.output<J> : never;
}[S];
