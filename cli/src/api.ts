import { readJson } from '@panal/protocol';
import { z } from 'zod';
import type { Client, RequestOptions } from './client.js';

/** What the command reads of the cluster's answers. Other fields are kept, for `--json` shows them all. */

const errorSchema = z.looseObject({ code: z.string(), message: z.string() });

const callSchema = z.looseObject({
  callNum: z.number(),
  funcName: z.string(),
  kind: z.string().optional(),
  version: z.number(),
  status: z.string(),
  attempts: z.number(),
  params: z.unknown().optional(),
  result: z.string().optional(),
  resultEncoding: z.literal('base64').optional(),
  logs: z.string().optional(),
  exitCode: z.number().optional(),
  error: errorSchema.optional(),
  worker: z.string().optional(),
  start: z.string().optional(),
  timings: z
    .object({ queued: z.number(), prepare: z.number(), run: z.number(), total: z.number() })
    .optional(),
  acceptedAt: z.string(),
  settledAt: z.string().optional(),
});
/** A call, with the JSON that the cluster shows it as: parsed and written anew, its parameters could be others. */
export type Call = z.infer<typeof callSchema> & { json: string };

/** Asks for a call. */
export async function askCall(
  client: Client,
  method: string,
  path: string,
  options?: RequestOptions,
): Promise<Call> {
  const { value, text } = await client.askPage(callSchema, method, path, options);
  return { ...value, json: text };
}

/** Asks for a page of calls. */
export async function askCalls(
  client: Client,
  path: string,
): Promise<{ calls: Call[]; next: string | undefined }> {
  const { value, text, next } = await client.askPage(z.record(z.string(), callSchema), 'GET', path);
  const texts = readJson(text).members;
  const calls = Object.entries(value).map(([name, call]) => ({ ...call, json: texts.get(name) ?? '' }));
  return { calls, next };
}

export const acceptedSchema = z.object({ callNum: z.number(), status: z.string() });

export const functionSchema = z.looseObject({
  functionName: z.string(),
  kind: z.string(),
  image: z.string().optional(),
  imageDigest: z.string().optional(),
  runtimeName: z.string().optional(),
  size: z.number().optional(),
  sha256: z.string().optional(),
  version: z.number(),
  versions: z.array(z.number()),
  lifecycle: z.string(),
  timeoutMs: z.number(),
  memoryMb: z.number(),
  network: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type FunctionView = z.infer<typeof functionSchema>;

export const namesSchema = z.array(z.string());

export const runtimeSchema = z.looseObject({
  name: z.string(),
  image: z.string(),
  run: z.string(),
  handler: z.string().optional(),
  bundled: z.boolean(),
});

export const workersSchema = z.array(
  z.looseObject({
    id: z.string(),
    host: z.string(),
    state: z.string(),
    sandbox: z.string(),
    path: z.string(),
    slots: z.number(),
    lastHeartbeat: z.string(),
    miniWorkers: z.array(z.looseObject({ state: z.string() })),
  }),
);

export const tokenSchema = z.object({ token: z.string(), expiresAt: z.string() });

export const userSchema = z.looseObject({ email: z.string() });

/** Whether a call has ended. */
export const hasEnded = ({ status }: Call): boolean => status !== 'PENDING' && status !== 'RUNNING';

/** What a call gave back, to the byte. */
export const resultOf = ({ result = '', resultEncoding }: Call): Buffer =>
  Buffer.from(result, resultEncoding ?? 'utf8');

/** The path of a call, or of what is below it. */
export const callPath = (callNum: number, below = ''): string => `/call/${callNum}${below}`;

/** The path of a function. */
export const functionPath = (name: string): string => `/functions/${encodeURIComponent(name)}`;
