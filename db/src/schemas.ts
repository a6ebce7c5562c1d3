import {
  bundleRefSchema,
  CALL_STATUSES,
  ERROR_STATUS,
  functionSettingsSchema,
  functionSpecSchema,
  INPUT_KINDS,
  lifecycleSchema,
  runtimeSpecSchema,
  type ErrorCode,
} from '@panal/protocol';
import { z } from 'zod';
import type {
  CallRecord,
  FunctionRecord,
  KeyedCall,
  RuntimeRecord,
  UserRecord,
  VersionRecord,
  VersionSummary,
} from './records.js';

/** A call without its bytes. */
export type CallHead = Omit<CallRecord, 'params' | 'result' | 'logs'>;

const errorCode = z.custom<ErrorCode>(
  (code) => typeof code === 'string' && Object.hasOwn(ERROR_STATUS, code),
);

export const runtimeRecordSchema: z.ZodType<RuntimeRecord> = z.object({
  ...runtimeSpecSchema.shape,
  dependencies: z.string().exactOptional(),
  handler: z.string().exactOptional(),
  owner: z.string(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export const functionRecordSchema: z.ZodType<FunctionRecord> = z.object({
  owner: z.string(),
  name: z.string(),
  activeVersion: z.int(),
  latestVersion: z.int(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export const versionRecordSchema: z.ZodType<VersionRecord> = z.object({
  spec: functionSpecSchema,
  settings: functionSettingsSchema,
  runtimeOwner: z.string().exactOptional(),
  createdAt: z.number(),
});

export const versionSummarySchema: z.ZodType<VersionSummary> = z.object({
  id: z.string(),
  version: z.int(),
  createdAt: z.number(),
  image: z.string().exactOptional(),
  imageDigest: z.string().exactOptional(),
  code: z
    .object({ runtimeName: z.string(), runtimeOwner: z.string(), bundle: bundleRefSchema })
    .exactOptional(),
});

export const userRecordSchema: z.ZodType<UserRecord> = z.object({
  name: z.string(),
  id: z.string(),
  password: z.object({ N: z.int(), r: z.int(), p: z.int(), salt: z.string(), hash: z.string() }),
  token: z.object({ id: z.string(), issuedAt: z.int(), expiresAt: z.int() }).exactOptional(),
  createdAt: z.number(),
});

export const callNumberSchema = z.int().min(0);

export const keyedCallSchema: z.ZodType<KeyedCall> = z.object({
  callNum: z.int(),
  fingerprint: z.string(),
  acceptedAt: z.number(),
});

export const callHeadSchema: z.ZodType<CallHead> = z.object({
  callNum: z.int(),
  owner: z.string(),
  funcName: z.string(),
  version: z.int(),
  functionId: z.string(),
  input: z.enum(INPUT_KINDS),
  status: z.enum(CALL_STATUSES),
  attempts: z.int(),
  acceptedAt: z.number(),
  putBack: z.object({ at: z.number(), attempts: z.int() }).exactOptional(),
  cancelling: z.boolean().exactOptional(),
  notBefore: z.number().exactOptional(),
  settledAt: z.number().exactOptional(),
  exitCode: z.int().exactOptional(),
  error: z.object({ code: errorCode, message: z.string() }).exactOptional(),
  worker: z.string().exactOptional(),
  start: lifecycleSchema.exactOptional(),
  preloaded: z.boolean().exactOptional(),
  timings: z
    .object({ queued: z.number(), prepare: z.number(), run: z.number(), total: z.number() })
    .exactOptional(),
  apart: z
    .object({
      params: z.int().exactOptional(),
      result: z.int().exactOptional(),
      logs: z.int().exactOptional(),
    })
    .exactOptional(),
});
